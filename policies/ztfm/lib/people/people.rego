# METADATA
# title: People
# description: What a person's claims at their identity provider are worth.
# schemas:
#   - input: schema.input.admin
package ztfm.lib.people

import data.data.people
import data.data.segments

# METADATA
# title: Proven
# description: The requirements on a person that hold; the short life of their token stands for a status.
# scope: document
proven contains "subject_active" if count(roles) > 0

proven contains "subject_known" if count(roles) > 0

proven contains "subject_unrevoked" if count(roles) > 0

proven contains "network_allowed" if {
	some network, _ in segments[segment].networks
	net.cidr_contains(network, input.context.network.address)
}

# METADATA
# title: Roles
# description: The roles that the person's claims bring; none for a provider, claim or value that nobody wrote down.
# scope: document
roles contains role if {
	some claim, values in provider.claims
	some value in input.subject.properties.claims[claim]
	some role, true in values[value]
}

# METADATA
# title: Segment
# description: From where people of this provider administer.
segment := provider.segment

# METADATA
# title: Provider
# description: What is written down of the provider that vouches for the person.
provider := people[input.subject.properties.issuer] if input.subject.type == "person"
