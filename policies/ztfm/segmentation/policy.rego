# METADATA
# title: Segmentation
# description: |
#   Decides whether a capability opens a way on the network: from where its device is to the service that its audience
#   stands for. Which devices make up a network segment, and what may be reached from it for what, `data/segmentation`
#   says; what a service is, `data/services`. Whatever is not named is closed.
# schemas:
#   - input: schema.input.segmentation
package ztfm.segmentation

import data.ztfm.lib.subject
import data.ztfm.lib.verdict

# METADATA
# title: Decision
# description: Whether routers let the device through to the service.
# entrypoint: true
decision := verdict.of(required, missing, granted)

# METADATA
# title: Required
# description: What a way on the network must prove.
required := {
	"attachment_in_network",
	"flow_named",
	"place_named",
	"sensitivity_named",
	"service_known",
	"subject_active",
	"subject_known",
}

# METADATA
# title: Missing
# description: What was required and not proven.
missing := (required - proven) - subject.proven

# METADATA
# title: Proven
# description: The requirements on place, service and flow that hold.
# scope: document
proven contains "attachment_in_network" if is_in_zone

proven contains "place_named" if count(places) > 0

proven contains "service_known" if service

proven contains "flow_named" if count(flows) > 0

proven contains "sensitivity_named" if count(open) > 0

# METADATA
# title: Granted
# description: The service that is reached, and for how long at most; a capability that ends before ends the way too.
# scope: document
default granted := {"obligations": {}, "ttl_seconds": 0}

granted := {"obligations": {"service": service}, "ttl_seconds": max(open)} if count(open) > 0
