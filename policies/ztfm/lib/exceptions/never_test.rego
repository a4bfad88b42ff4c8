package ztfm.lib.exceptions_test

import data.ztfm.admin
import data.ztfm.enrolment
import data.ztfm.gradient_submission
import data.ztfm.lib.exceptions
import data.ztfm.model_access
import data.ztfm.other

asked_of_anything contains code if {
	some codes in [
		admin.required,
		enrolment.required,
		gradient_submission.required,
		model_access.required,
		other.required,
	]
	some code in codes
}

test_what_is_asked_of_a_request_of_no_known_kind_is_never_waived if {
	codes := asked_of_anything with input as {}
	codes == {"action_known", "evidence_single", "phase_known", "purpose_allowed"}
	count(codes - exceptions.never) == 0
}

test_an_exception_for_a_purpose_lets_nobody_through_who_states_none if {
	limits := object.union(data.data.limits, {"waivable": {"purpose_allowed": true, "window_open": true}})
	stranger := {
		"subject": {"type": "device", "id": "dev-1", "properties": {"status": "quarantined", "roles": []}},
		"action": {"name": "model_access"},
		"resource": {"type": "model", "id": "fall-detection"},
		"context": {"time": 1762992000, "exceptions": {"exc-1": {
			"subject": "dev-1",
			"resource": "fall-detection",
			"action": "model_access",
			"waives": {"purpose_allowed": true, "window_open": true},
			"reason": "A purpose of its own.",
			"approver": "operator@example.org",
			"starts_at": 1762990000,
			"ends_at": 1762999999,
		}}},
	}
	waived := exceptions.waived with input as stranger with data.data.limits as limits
	waived == {"window_open"}
	decision := model_access.decision with input as stranger with data.data.limits as limits
	decision.allow == false
}
