package ztfm.attestation

import data.data.attestation as known
import data.ztfm.lib.differing

# METADATA
# title: Differences
# description: By requirement that does not hold, the claims that are not what they should be, as the denial names them.
# scope: document
differences.evidence_verified contains differing.difference("evidence", input.context.evidence.cause, {"verified"}) if {
	not "evidence_verified" in proven
}

differences.evidence_bound contains differing.difference("bound", claims.bound, {input.context.evidence.binding}) if {
	not "evidence_bound" in proven
}

differences.anchor_known contains differing.difference("anchor", claims.anchor, anchors) if {
	not "anchor_known" in proven
	anchors := object.keys(object.get(known.anchors, claims.kind, {}))
}

differences.debug_off contains differing.difference("debug", claims.debug, {"false"}) if not "debug_off" in proven

differences.reference_known contains differing.difference("anchor", claims.anchor, anchors) if {
	not "reference_known" in proven
	anchors := {anchor |
		some one in known.references
		one.kind == claims.kind
		one.anchors[anchor] == true
	}
}

differences.platform_allowed contains differing.difference("platform", claims.platform, others) if {
	not "platform_allowed" in proven
	is_object(reference.platforms)
	others := {"one of those that are named"} # whoever shows another one need not know which
}

differences.platform_kept contains differing.difference("platform", claims.platform, {"the one shown before"}) if {
	not "platform_kept" in proven
}

differences.platform_unshared contains differing.difference("platform.others", seen, {most_text}) if {
	not "platform_unshared" in proven
	seen := object.get(input.context, ["platform", "others"], "")
	most_text := concat(" ", ["at most", json.marshal(others_allowed(reference))])
}

differences.measurements_match contains differing.difference("reference", nearest, {"one that names what runs"}) if {
	not is_measured(reference)
}

differences.measurements_match contains differing.difference(name, seen, object.keys(accepted)) if {
	some measured, accepted in reference.measurements
	seen := object.get(claims, ["measurements", measured], "")
	not seen in object.keys(accepted)
	name := concat(".", ["measurements", measured])
}

differences.versions_sufficient contains differing.difference(name, seen, {least_text}) if {
	some part, least in reference.versions
	seen := object.get(claims, ["versions", part], "")
	not is_sufficient(seen, least)
	name := concat(".", ["versions", part])
	least_text := concat("", ["at least ", json.marshal(least)])
}

differences.attributes_match contains differing.difference(name, seen, object.keys(accepted)) if {
	some attribute, accepted in reference.attributes
	seen := object.get(claims, ["attributes", attribute], "")
	not accepted[seen]
	name := concat(".", ["attributes", attribute])
}

differences.status_accepted contains differing.difference("status", claims.status, object.keys(accepted)) if {
	accepted := reference.statuses
	not accepted[claims.status]
}

differences.advisories_accepted contains differing.difference("advisories", advisory, object.keys(accepted)) if {
	accepted := reference.advisories
	some advisory in claims.advisories
	not accepted[advisory]
}

# METADATA
# title: Is sufficient
# description: Whether a version is a number, and new enough.
is_sufficient(version, least) if {
	is_number(version)
	is_number(least)
	version >= least
}
