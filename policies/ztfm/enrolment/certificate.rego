package ztfm.enrolment

import data.data.enrolment as accepted

proven contains "certificate_valid" if {
	input.context.certificate.valid == true
	input.context.certificate.cause == ""
}

proven contains "certificate_accepted" if certificate_terms

proven contains "certificate_bound" if input.context.certificate.key_bound == true

proven contains "certificate_unexpired" if {
	input.context.time >= 0
	input.context.certificate.expires_at - input.context.time > 0
}

proven contains "certificate_unrefused" if {
	is_object(certificate_terms.refused)
	is_string(input.context.certificate.serial)
	is_string(input.context.certificate.device)
	not certificate_terms.refused[input.context.certificate.device]
	not trim_left(input.context.certificate.serial, "0") in refused_serials
}

# METADATA
# title: Refused serials
# description: |
#   What is refused, as serial numbers of certificates are written here. Tools write them with colons, in capitals and
#   with zeros in front too, and none of these may let a refused one in.
refused_serials contains trim_left(lower(replace(listed, ":", "")), "0") if {
	some listed, _ in certificate_terms.refused
}

offered_roles contains role if {
	kind == "certificate"
	some role, true in certificate_terms.roles
}

offered_segments contains segment if {
	kind == "certificate"
	some segment, true in certificate_terms.segments
}

# METADATA
# title: Certificate terms
# description: What `data/enrolment` has for this manufacturer.
certificate_terms := accepted.manufacturers[input.context.certificate.manufacturer]
