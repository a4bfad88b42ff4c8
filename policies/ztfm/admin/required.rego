package ztfm.admin

# METADATA
# title: Required
# description: |
#   What an action must prove; an action that nobody knows is never proven. Some things their owner may do without any
#   role, and read what was decided about oneself even in quarantine, for a device's owner has to learn why.
# scope: document
# schemas:
#   - input: schema.input.admin
default required := {"action_known"}

required := actions[input.action.name].own if is_own

else := (actions[input.action.name].required | noised) | housed

# METADATA
# title: Own
# description: What whoever it belongs to must prove.
own := {
	"resource_kind",
	"subject_active",
	"subject_known",
}

# METADATA
# title: Service
# description: What every service and every administrator must prove.
service := {
	"network_allowed",
	"resource_kind",
	"role_granted",
	"segment_allowed",
	"subject_active",
	"subject_known",
}
