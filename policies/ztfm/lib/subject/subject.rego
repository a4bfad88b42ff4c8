# METADATA
# title: Subject
# description: What must be true of whoever asks, whatever they ask for.
package ztfm.lib.subject

import data.data.limits
import data.data.segments
import data.ztfm.lib.model

# METADATA
# title: Proven
# description: The requirements on the subject that hold.
# scope: document
proven contains "subject_known" if is_enrolled

proven contains "subject_active" if input.subject.properties.status == "active"

proven contains "network_allowed" if is_in_network

proven contains "trust_sufficient" if {
	model.terms.trust_minimum >= 0
	trust >= model.terms.trust_minimum
}

# METADATA
# title: Enrolled
# description: Whether the subject is a device whose key is registered.
is_enrolled if {
	input.subject.type == "device"
	is_string(input.subject.properties.key_thumbprint)
}

# METADATA
# title: In network
# description: Whether the request came from a network of the subject's segment.
is_in_network if {
	some network, _ in segments[input.subject.properties.segment].networks
	net.cidr_contains(network, input.context.network.address)
}

# METADATA
# title: Trust
# description: The subject's trust, a share; undefined for anything that is none.
trust := score if {
	score := input.subject.properties.trust.score
	score >= 0
	score <= 1
}

# METADATA
# title: Standing
# description: Full trust brings full answers and lifetimes; below it the subject is watched.
# scope: document
default standing := "watched"

standing := "full" if {
	limits.trust.full >= 0
	trust >= limits.trust.full
}
