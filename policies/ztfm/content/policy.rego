# METADATA
# title: Content
# description: |
#   Decides what becomes of a prompt or an answer of an inference that is under way. What a gateway found in it is
#   evidence: a number for each signal. From which number on which measure is taken, `data/content` says for the model's
#   sensitivity and for each direction. A measure is spared only where every signal is proven to lie below.
# schemas:
#   - input: schema.input.content
package ztfm.content

import data.data.content as kept
import data.data.limits
import data.data.roles
import data.data.segments
import data.ztfm.lib.exceptions
import data.ztfm.lib.holds
import data.ztfm.lib.model
import data.ztfm.lib.subject
import data.ztfm.lib.verdict

# METADATA
# title: Decision
# description: Whether the content may pass, and what must be done with it.
# entrypoint: true
decision := object.union(verdict.of(required, missing, granted), asking_anew)

# METADATA
# title: Missing
# description: What was required and not proven.
missing := (((required - proven) - subject.proven) - model.proven) - holds.proven

# METADATA
# title: Proven
# description: The requirements of a content alone that hold.
# scope: document
proven contains "reporter_active" if input.context.reporter.status == "active"

proven contains "reporter_granted" if {
	place := segments[input.context.reporter.segment]
	place.actions["content:ask"] == true
	some role in input.context.reporter.roles
	is_object(roles[role].grants["content:ask"])
	place.roles[role] == true
}

proven contains "reporter_in_network" if {
	some network, _ in segments[input.context.reporter.segment].networks
	net.cidr_contains(network, input.context.network.address)
}

proven contains "content_capability_current" if {
	is_string(input.context.capability.id)
	is_number(limits.capability_age_seconds)
	age <= limits.capability_age_seconds
}

proven contains "content_described" if count(values) == 5

proven contains "content_terms_known" if {
	is_object(terms)
	count((taken - object.keys(parts)) - {"deny", "step_up"}) == 0
}

proven contains "content_below_denial" if {
	is_complete
	not "deny" in taken
}

proven contains "content_stepped_up" if {
	is_complete
	not "step_up" in taken
}

proven contains "content_stepped_up" if {
	is_number(kept.step_up_seconds)
	age <= kept.step_up_seconds
}

# METADATA
# title: Age
# description: Seconds since the capability was issued; undefined for anything that is none.
age := input.context.capability.age_seconds if input.context.capability.age_seconds >= 0

# METADATA
# title: Asking anew
# description: |
#   What would let a content pass of which nothing is missing, or is not waived, but a fresh capability; nothing
#   otherwise.
# scope: document
default asking_anew := {}

asking_anew := {"obligations": {"step_up_seconds": kept.step_up_seconds}} if {
	missing - exceptions.waived == {"content_stepped_up"}
}
