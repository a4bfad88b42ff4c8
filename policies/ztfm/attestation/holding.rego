package ztfm.attestation

# METADATA
# title: Holding
# description: By reference values, the requirements that hold.
# scope: document
holding[name] contains "platform_allowed" if {
	is_string(claims.platform)
	some name, one in candidates
	not "platforms" in object.keys(one)
}

holding[name] contains "platform_allowed" if {
	some name, one in candidates
	is_string(one.platforms[claims.platform])
}

holding[name] contains "platform_kept" if {
	some name, one in candidates
	object.get(one, "platform_kept", false) == false
}

holding[name] contains "platform_kept" if {
	input.context.evidence.platform in {"first", "same"}
	some name, one in candidates
	one.platform_kept == true
}

holding[name] contains "platform_unshared" if {
	is_number(input.context.platform.others)
	input.context.platform.others >= 0
	some name, one in candidates
	input.context.platform.others <= others_allowed(one)
}

holding[name] contains "measurements_match" if {
	some name, one in candidates
	is_measured(one)
	every measured, accepted in one.measurements {
		is_string(accepted[claims.measurements[measured]])
	}
}

holding[name] contains "versions_sufficient" if {
	some name, one in candidates
	every part, least in one.versions {
		is_sufficient(claims.versions[part], least)
	}
}

holding[name] contains "attributes_match" if {
	some name, one in candidates
	every attribute, accepted in one.attributes {
		accepted[claims.attributes[attribute]] == true
	}
}

holding[name] contains "status_accepted" if {
	some name, one in candidates
	one.statuses[claims.status] == true
}

holding[name] contains "advisories_accepted" if {
	is_array(claims.advisories)
	some name, one in candidates
	every advisory in claims.advisories {
		one.advisories[advisory] == true
	}
}
