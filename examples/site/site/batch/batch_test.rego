package site.batch_test

import data.site.batch
import data.site.rules

test_every_question_is_answered_under_its_id if {
	answers := batch.answers with input as {
		"model_in": {"0": {"action": {"name": "model_in"}}, "1": {}},
		"update_out": {"2": {"action": {"name": "update_out"}}},
		"inference": {"3": {"action": {"name": "inference"}}},
	}
	object.keys(answers) == {"0", "1", "2", "3"}
	alone := rules.answer with input as {"action": {"name": "update_out"}}
	answers["2"] == alone
}

test_no_question_no_answer if {
	batch.answers == {} with input as {"model_in": {}}
}
