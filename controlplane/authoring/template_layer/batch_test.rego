package site.batch_test

import data.site.batch
import data.site.rules

pulling := {"action": {"name": "model_access"}}

asking := {"action": {"name": "inference"}}

test_every_question_is_answered_under_its_id if {
	answers := batch.answers with input as {
		"model_access": {"0": pulling, "1": {}},
		"inference": {"2": asking},
		"admin": {"3": {}},
	}
	object.keys(answers) == {"0", "1", "2", "3"}
}

test_an_answer_is_the_rules_own if {
	answers := batch.answers with input as {"model_access": {"0": pulling}}
	alone := rules.answer with input as pulling
	answers["0"] == alone
}

test_no_question_no_answer if {
	batch.answers == {} with input as {"inference": {}}
}
