# METADATA
# title: Services
# description: |
#   What may be reached on the network: addresses and ports by the audience whose capabilities open them. The control
#   plane asks once for each policy revision. While it has no answer no way is opened, and no table is given out.
# schemas:
#   - input: schema.input.services
package ztfm.services

import data.data.services as kept

# METADATA
# title: Terms
# description: The services by name whose audiences are theirs alone.
terms := {"services": {name: told(name) | some name in own}} if count(input.ip_versions) > 0

# METADATA
# title: Own
# description: The names of services that share their audience with no other; of those that do, none can be meant.
# scope: document
own contains name if {
	some names in by_audience
	count(names) == 1
	some name in names
}

# METADATA
# title: By audience
# description: The names of the services that state an audience.
# scope: document
by_audience[audience] contains name if {
	some name, service in kept
	audience := service.audience
}

# METADATA
# title: Told
# description: What enforcement points are told of a service; what is for people stays here.
told(name) := object.remove(kept[name], {"description"})
