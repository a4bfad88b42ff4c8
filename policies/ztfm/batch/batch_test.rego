package ztfm.batch_test

import data.ztfm.batch
import data.ztfm.lib.samples_test as samples

active := {"ztfm": {"manifest": {"revision": "7f3a.0c1d"}}}

questions := {
	"model_access": {"0": samples.training, "1": samples.serving},
	"gradient_submission": {"2": samples.granting, "3": samples.admitting},
	"inference": {"4": samples.asking, "5": {}},
	"admin": {"6": samples.administering("aggregator", "round:create", "round")},
	"enrolment": {"7": samples.enrolling},
	"other": {"8": samples.opening_door},
	"response": {"9": samples.responding},
	"alert": {"10": samples.alerting},
	"identity": {"11": samples.differing},
	"attestation": {"12": samples.attesting},
	"key_release": {"13": samples.releasing},
	"budget": {"16": samples.leasing},
	"content": {"14": samples.judging},
	"segmentation": {"15": samples.segmenting},
}

test_every_question_is_answered_under_its_id if {
	decisions := batch.decisions with input as questions
	denied := {"5", "8"}
	{id | some id, decision in decisions; not decision.allow} == denied
	{id | some id, decision in decisions; decision.allow} == {id | some asked in questions; some id, _ in asked} - denied
}

test_an_answer_is_the_packages_own if {
	decisions := batch.decisions with input as questions
	alone := data.ztfm.gradient_submission.decision with input as samples.admitting
	decisions["3"] == alone
}

test_candidates_are_listed_under_their_id if {
	query := {"kind": "action", "subject_type": "device", "resource_type": "model", "after": "h", "limit": 5}
	batch.decisions == {"9": ["inference", "model_access"]} with input as {"candidates": {"9": query}}
}

test_the_terms_of_the_log_are_told_under_their_id if {
	decisions := batch.decisions with input as {"log": {"9": {"packages": ["admin"]}}}
	object.keys(decisions["9"]) == {"admin"}
}

test_the_terms_of_behaviour_are_told_under_their_id if {
	terms := {"alpha": "beta"}
	decisions := batch.decisions with input as {"behaviour": {"9": {"channels": ["updates"]}}}
		with data.ztfm.behaviour.terms as terms
	decisions == {"9": terms}
}

test_whether_an_issuer_is_accepted_is_told_under_the_questions_id if {
	decisions := batch.decisions with input as {"issuers": {"9": {"issuer": "did:web:nobody.example"}}}
	decisions == {"9": {"accepted": false}}
}

test_services_are_told_under_the_questions_id if {
	decisions := batch.decisions with input as {"services": {"9": {"ip_versions": [4]}}}
	object.keys(decisions["9"].services) == object.keys(data.data.services)
}

test_questions_to_unknown_packages_have_no_answer if {
	decisions := batch.decisions with input as {"lib": {"0": samples.training}, "system": {"1": {}}}
	decisions == {}
}

test_the_revision_is_the_active_bundles if {
	batch.revision == "7f3a.0c1d" with data.system.bundles as active
}

test_without_an_active_bundle_there_is_no_revision if {
	not batch.revision with data.system.bundles as {}
}
