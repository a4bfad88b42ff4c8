package ztfm.extra.record_test

import data.ztfm.extra.record

asking(user, action, record) := {
	"subject": {"type": "user", "id": user},
	"action": {"name": action},
	"resource": {"type": "record", "id": record},
	"claims": {"subject": {}, "action": {}, "resource": {}, "context": {}},
}

claiming(part, claims, question) := object.union(question, {"claims": {part: claims}})

test_both_read_and_one_writes if {
	record.decision.allow with input as asking("alice", "read", "record-1")
	record.decision.allow with input as asking("bob", "read", "record-1")
	record.decision.allow with input as asking("alice", "write", "record-1")
	not record.decision.allow with input as asking("bob", "write", "record-1")
}

test_an_archived_record_is_written_by_an_administrator_alone if {
	not record.decision.allow with input as asking("alice", "write", "record-2")
	archived := claiming("resource", {"status": "archived"}, asking("alice", "write", "record-1"))
	not record.decision.allow with input as archived
	record.decision.allow with input as claiming("resource", {"status": "archived"}, asking("bob", "write", "record-2"))
	record.decision.allow with input as claiming("subject", {"role": "admin"}, asking("alice", "write", "record-2"))
}

test_what_is_archived_does_not_become_active_by_a_claim if {
	hidden := claiming("resource", {"status": "active"}, asking("alice", "write", "record-2"))
	not record.decision.allow with input as hidden
}

test_a_soft_delete_is_allowed_and_no_other if {
	record.decision.allow with input as claiming("action", {"soft": true}, asking("alice", "delete", "record-1"))
	every claims in [{}, {"soft": false}, {"soft": "true"}, {"soft": 1}, {"soft": null}] {
		not record.decision.allow with input as claiming("action", claims, asking("alice", "delete", "record-1"))
	}
	not record.decision.allow with input as claiming("action", {"soft": true}, asking("bob", "delete", "record-1"))
}

test_nobody_and_nothing_unknown_is_allowed if {
	not record.decision.allow with input as asking("mallory", "read", "record-1")
	not record.decision.allow with input as asking("alice", "read", "record-9")
	not record.decision.allow with input as asking("alice", "burn", "record-1")
	device := object.union(asking("alice", "read", "record-1"), {"subject": {"type": "device"}})
	not record.decision.allow with input as device
}

test_searches_look_at_all_that_is_known if {
	record.subjects == {"user": {"alice", "bob"}}
	record.resources == {"record-1", "record-2"}
	record.actions == {"read", "write", "delete"}
}
