package ztfm.admin

import data.data.resources
import data.ztfm.lib.confidentiality

# METADATA
# title: Housed
# description: |
#   What has to be shown before a round is opened of a model that somebody registered: that it is known what its
#   aggregator sees, where it sees each update that its platform is attested, and where it sees sums that they are of
#   enough members.
# scope: document
# schemas:
#   - input: schema.input.admin
default housed := set()

housed := union({
	{"confidentiality_known"},
	confidentiality.housed(input.resource.properties.model),
	confidentiality.peopled(input.resource.properties.model),
}) if {
	input.action.name == "round:create"
	resources[input.resource.properties.model]
}

proven contains "members_many" if confidentiality.is_many(input.resource.properties.members)

proven contains "confidentiality_known" if confidentiality.mode_of(input.resource.properties.model)

proven contains "aggregator_attested" if confidentiality.is_attested(input.context.results)

# METADATA
# title: Differences
# description: By requirement, what is not as it has to be, such as the platform of whoever opens a round.
# scope: document
# schemas:
#   - input: schema.input.admin
differences["aggregator_attested"] := confidentiality.unlike(object.get(input, ["context", "results"], {}))
