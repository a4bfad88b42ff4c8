# METADATA
# title: Peers
# description: The policy of roles and attributes that engines are compared on.
package ztfm.lib.peers

import data.data.peers

# METADATA
# title: Allowed
# description: Whether the subject may do this to the model.
# scope: document
# entrypoint: true
default allowed := false

allowed if {
	some role in input.subject.properties.roles
	peers.grants[role][input.action.name] == true
	model := peers.models[input.resource.id]
	input.subject.properties.segment == model.segment
	model.sensitivity <= peers.clearances[role]
	is_number(input.subject.properties.trust.score)
	input.subject.properties.trust.score >= model.trust_minimum
	is_number(input.context.time)
	input.context.time >= model.opens
	input.context.time < model.closes
}
