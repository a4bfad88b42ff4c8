# METADATA
# title: Batch
# description: |
#   Answers many questions in one query: the input holds facts by package and by an id that the caller assigns.
#   What a package leaves undefined is absent from the answer, and without an active bundle there is no revision.
# entrypoint: true
package ztfm.batch

# METADATA
# title: Revision
# description: The revision of the active bundle.
revision := data.system.bundles.ztfm.manifest.revision

# METADATA
# title: Decisions
# description: The decisions by question id, and what else was asked.
# scope: document
decisions[id] := decision if {
	some id, facts in input.model_access
	decision := data.ztfm.model_access.decision with input as facts
}

decisions[id] := decision if {
	some id, facts in input.gradient_submission
	decision := data.ztfm.gradient_submission.decision with input as facts
}

decisions[id] := decision if {
	some id, facts in input.inference
	decision := data.ztfm.inference.decision with input as facts
}

decisions[id] := decision if {
	some id, facts in input.other
	decision := data.ztfm.other.decision with input as facts
}

decisions[id] := listing if {
	some id, query in input.candidates
	listing := data.ztfm.candidates.listing with input as query
}

decisions[id] := decision if {
	some id, facts in input.admin
	decision := data.ztfm.admin.decision with input as facts
}

decisions[id] := decision if {
	some id, facts in input.enrolment
	decision := data.ztfm.enrolment.decision with input as facts
}

decisions[id] := decision if {
	some id, facts in input.response
	decision := data.ztfm.response.decision with input as facts
}

decisions[id] := decision if {
	some id, facts in input.alert
	decision := data.ztfm.alert.decision with input as facts
}

decisions[id] := decision if {
	some id, facts in input.identity
	decision := data.ztfm.identity.decision with input as facts
}

decisions[id] := decision if {
	some id, facts in input.key_release
	decision := data.ztfm.key_release.decision with input as facts
}

decisions[id] := decision if {
	some id, facts in input.attestation
	decision := data.ztfm.attestation.decision with input as facts
}

decisions[id] := terms if {
	some id, query in input.behaviour
	terms := data.ztfm.behaviour.terms with input as query
}

decisions[id] := terms if {
	some id, query in input.log
	terms := data.ztfm.log.terms with input as query
}

decisions[id] := terms if {
	some id, query in input.privacy
	terms := data.ztfm.privacy.terms with input as query
}

decisions[id] := terms if {
	some id, query in input.issuers
	terms := data.ztfm.issuers.terms with input as query
}
