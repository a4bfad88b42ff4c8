# METADATA
# title: Records
# description: |
#   Decides who may read, write and delete records: the fixture of AuthZEN's certification scenario. Of a record the
#   worse is believed, what is known of it or what the enforcement point says.
# schemas:
#   - input: schema.input.other
package ztfm.extra.record

import data.data.records
import data.ztfm.lib.verdict

# METADATA
# title: Decision
# description: Whether the user may do that to the record.
decision := verdict.of(required, required - proven, {"obligations": {}, "ttl_seconds": 30})

# METADATA
# title: Required
# description: What every action must prove.
required := {
	"permitted",
	"record_known",
	"user_known",
}

# METADATA
# title: Proven
# description: The requirements that hold.
# scope: document
proven contains "user_known" if {
	input.subject.type == "user"
	user
}

proven contains "record_known" if {
	input.resource.type == "record"
	records.records[input.resource.id]
}

proven contains "permitted" if input.action.name == "read"

proven contains "permitted" if {
	input.action.name == "write"
	user.writes == true
	is_active
}

proven contains "permitted" if {
	input.action.name == "write"
	is_admin
	is_archived
}

proven contains "permitted" if {
	input.action.name == "delete"
	user.writes == true
	input.claims.action.soft == true
}

# METADATA
# title: User
# description: What is known of the subject.
user := records.users[input.subject.id]

# METADATA
# title: Archived
# description: Whether anybody says that the record is archived.
# scope: document
is_archived if records.records[input.resource.id].status == "archived"

is_archived if input.claims.resource.status == "archived"

# METADATA
# title: Active
# description: Whether the record is known to be active, and nobody says otherwise.
is_active if {
	records.records[input.resource.id].status == "active"
	object.get(input.claims.resource, "status", "active") == "active"
}

# METADATA
# title: Admin
# description: Whether the user is an administrator, as is known or as the enforcement point says.
# scope: document
is_admin if user.role == "admin"

is_admin if input.claims.subject.role == "admin"

# METADATA
# title: Subjects
# description: The users, for searches.
subjects := {"user": object.keys(records.users)}

# METADATA
# title: Resources
# description: The records, for searches.
resources := object.keys(records.records)

# METADATA
# title: Actions
# description: What can be done to a record, for searches.
actions := {"read", "write", "delete"}
