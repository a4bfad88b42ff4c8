package ztfm.response_test

import data.ztfm.lib.samples_test as samples
import data.ztfm.response

# What breaks each requirement.
broken := {
	"behaviour_weighed": [
		["/context/behaviour/e_value", null],
		["/context/behaviour/e_value", "60"],
		["/context/behaviour/e_value", -1],
		["/context/behaviour", {}],
		["/context/behaviour/conforming", null],
		["/context/behaviour/conforming", {"updates": "9"}],
		["/context/behaviour/conforming", {"updates": -1}],
		["/context/behaviour/convicted", null],
		["/context/behaviour/convicted", {"access": "64"}],
		["/context/behaviour/convicted", {"access": null}],
		["/context/behaviour/convicted", {"access": -1}],
	],
	"contributions_counted": [
		["/context/behaviour/contributed", null],
		["/context/behaviour/contributed", -1],
	],
	"owner": [["/resource/id", "dev-another"]],
	"resource_kind": [["/resource/type", "device"]],
	"state_known": [
		["/context/behaviour/state", "unheard-of"],
		["/context/behaviour/state", null],
		["/context/behaviour/state_age_seconds", -1],
		["/context/behaviour/state_age_seconds", null],
	],
	"status_known": [
		["/subject/properties/status", "unheard-of"],
		["/subject/properties/status", null],
	],
	"subject_known": [
		["/subject/properties", {}],
		["/subject/type", "person"],
	],
	"trust_known": [
		["/subject/properties/trust/score", null],
		["/subject/properties/trust/score", 1.01],
		["/subject/properties/trust", {}],
	],
}

# By status, trust, state, its age and the evidence: where a subject stands from now on.
table := {
	"too much evidence sets apart whoever takes part": [
		["active", 0.9, "trusted", 5, 50, "quarantined"],
		["active", 0.9, "watched", 5, 51, "quarantined"],
		["active", 0.9, "recovering", 5, 1000000000000, "quarantined"],
		["active", 0.9, "trusted", 5, 49.999, "watched"],
		["active", 0.9, "watched", 5, 49.999, "watched"],
		["active", 0.9, "recovering", 5, 49.999, "recovering"],
	],
	"quarantine lasts its time and leads to a probation": [
		["quarantined", 0.1, "quarantined", 0, 60, "quarantined"],
		["quarantined", 0.9, "quarantined", 86399, 0, "quarantined"],
		["quarantined", 0.1, "quarantined", 86400, 60, "recovering"],
		["quarantined", 0.9, "quarantined", 10000000000, 0, "recovering"],
		["active", 0.9, "quarantined", 5, 0, "quarantined"],
	],
	"a probation ends with trust and little evidence, once sound updates were seen": [
		["active", 0.75, "recovering", 5, 1.999, "watched"],
		["active", 1, "recovering", 5, 0, "watched"],
		["active", 0.749, "recovering", 5, 1.999, "recovering"],
		["active", 0.75, "recovering", 10000000000, 2, "recovering"],
	],
	"full trust goes with little evidence": [
		["active", 0.7, "watched", 5, 1.999, "trusted"],
		["active", 0.7, "trusted", 5, 1.999, "trusted"],
		["active", 0.699, "trusted", 5, 0, "watched"],
		["active", 0.99, "trusted", 5, 2, "watched"],
		["active", 0.99, "watched", 5, 2, "watched"],
		["active", 0, "watched", 5, 49, "watched"],
	],
	"whom a person set apart no time releases and no evidence moves": [
		["quarantined", 0.9, "watched", 10000000000, 0, "watched"],
		["quarantined", 0.9, "trusted", 10000000000, 0, "watched"],
		["quarantined", 0.9, "watched", 5, 900, "watched"],
		["quarantined", 0.9, "recovering", 10000000000, 0, "recovering"],
		["revoked", 0.9, "watched", 10000000000, 0, "watched"],
		["revoked", 0.9, "trusted", 5, 900, "watched"],
		["revoked", 0.9, "recovering", 5, 0, "recovering"],
	],
}

# The input that a row of the table stands for.
about(row) := json.patch(samples.responding, [
	{"op": "replace", "path": "/subject/properties/status", "value": row[0]},
	{"op": "replace", "path": "/subject/properties/trust/score", "value": row[1]},
	{"op": "replace", "path": "/context/behaviour/state", "value": row[2]},
	{"op": "replace", "path": "/context/behaviour/state_age_seconds", "value": row[3]},
	{"op": "replace", "path": "/context/behaviour/e_value", "value": row[4]},
])

test_a_subject_stands_as_the_table_says if {
	wrong := {[title, row, stands] |
		some title, rows in table
		some row in rows
		stands := response.decision.obligations.state with input as about(row)
		stands != row[5]
	}
	wrong == set()
	decided := [1 | some rows in table; some row in rows; response.decision.allow with input as about(row)]
	count(decided) == sum([count(rows) | some rows in table])
}

test_every_state_is_left_and_entered if {
	states := {"trusted", "watched", "quarantined", "recovering"}
	{row[2] | some rows in table; some row in rows} == states
	{row[5] | some rows in table; some row in rows} == states
}

test_each_requirement_is_missed if {
	every code, breaks in broken {
		every change in breaks {
			decision := response.decision with input as samples.put(samples.responding, change[0], change[1])
			not decision.allow
			code in samples.codes(decision)
			decision.obligations == {}
		}
	}
}

test_every_requirement_is_tested if {
	response.required == object.keys(broken)
}

test_a_number_is_a_number if {
	every path in [
		"/context/behaviour/contributed",
		"/context/behaviour/e_value",
		"/context/behaviour/state_age_seconds",
		"/subject/properties/trust/score",
	] {
		every value in samples.not_numbers {
			decision := response.decision with input as samples.put(samples.responding, path, value)
			not decision.allow
		}
	}
}

test_what_is_not_said_is_not_known if {
	every path in [
		"/context/behaviour/conforming",
		"/context/behaviour/contributed",
		"/context/behaviour/convicted",
		"/context/behaviour/e_value",
		"/context/behaviour/state",
		"/context/behaviour/state_age_seconds",
		"/subject/properties/status",
		"/subject/properties/trust/score",
	] {
		decision := response.decision with input as samples.without(samples.responding, path)
		not decision.allow
	}
}

test_an_empty_input_is_denied if {
	decision := response.decision with input as {}
	samples.codes(decision) == response.required
}

test_a_response_lasts_as_long_as_a_decision_of_the_control_plane_itself if {
	decision := response.decision with input as samples.responding
	decision.allow
	decision.ttl_seconds == 30
	decision.obligations == {"state": "trusted"}
}

hostile := json.patch(samples.responding, [
	{"op": "replace", "path": "/context/behaviour/e_value", "value": 60},
	{"op": "replace", "path": "/context/behaviour/e_values", "value": {"updates": 74}},
])

test_what_was_contributed_is_undone_when_its_subject_is_set_apart if {
	decision := response.decision with input as hostile
	decision.obligations == {"rollback_rounds": 20, "state": "quarantined"}
	nothing := samples.put(hostile, "/context/behaviour/contributed", 0)
	response.decision.obligations == {"state": "quarantined"} with input as nothing
}

test_what_others_say_of_requests_undoes_no_work if {
	every e_value in [0, 0.6, 49.999] {
		told := samples.put(hostile, "/context/behaviour/e_values", {"inference": 600, "updates": e_value})
		response.decision.obligations == {"state": "quarantined"} with input as told
	}
	every e_values in [{}, {"inference": 600}, null, {"updates": "60"}, {"updates": null}] {
		told := samples.put(hostile, "/context/behaviour/e_values", e_values)
		response.decision.obligations == {"state": "quarantined"} with input as told
	}
}

# By what convicted a subject on probation, and how often it was as its peers are since: where it stands from now on.
trials := [
	[{"updates": 64}, {"updates": 4, "access": 1000}, "recovering"],
	[{"updates": 64}, {"access": 1000}, "recovering"],
	[{"updates": 64}, {"updates": 5}, "watched"],
	[{"access": 64}, {"access": 60, "updates": 4}, "recovering"],
	[{"access": 64}, {"access": 59, "updates": 5}, "recovering"],
	[{"access": 64}, {"access": 60, "updates": 5}, "watched"],
	[{"access": 64}, {"access": 60}, "watched"],
	[{"inference": 64, "updates": 1.99}, {"inference": 60}, "watched"],
	[{"inference": 64, "updates": 2}, {"inference": 60}, "recovering"],
	[{"inference": 64}, {"access": 1000, "inference": 59}, "recovering"],
	[{"unheard_of": 64}, {"unheard_of": 1000}, "recovering"],
	[{}, {"access": 1000, "inference": 1000}, "recovering"],
	[{}, {}, "recovering"],
]

on_probation(convicted, conforming) := json.patch(samples.responding, [
	{"op": "replace", "path": "/context/behaviour/state", "value": "recovering"},
	{"op": "replace", "path": "/context/behaviour/convicted", "value": convicted},
	{"op": "replace", "path": "/context/behaviour/conforming", "value": conforming},
])

test_a_probation_ends_where_a_subject_was_convicted_and_by_nothing_else if {
	wrong := {[row, stands] |
		some row in trials
		stands := response.decision.obligations.state with input as on_probation(row[0], row[1])
		stands != row[2]
	}
	wrong == set()
	every row in trials {
		response.decision.allow with input as on_probation(row[0], row[1])
	}
}

test_without_a_number_to_reach_no_probation_ends if {
	every least in [null, "5", [], {}] {
		limits := limited({"release_observations": {"updates": least}})
		response.decision.obligations.state == "recovering" with input as on_probation({"updates": 64}, {"updates": 9})
			with data.data.limits as limits
	}
}

test_what_was_contributed_is_undone_once if {
	lasting := json.patch(samples.responding, [
		{"op": "replace", "path": "/subject/properties/status", "value": "quarantined"},
		{"op": "replace", "path": "/context/behaviour/state", "value": "quarantined"},
	])
	response.decision.obligations == {"state": "quarantined"} with input as lasting
}

limited(change) := object.union(data.data.limits, {"behaviour": object.union(data.data.limits.behaviour, change)})

test_an_operator_who_wants_no_rollback_gets_none if {
	decision := response.decision with input as hostile with data.data.limits as limited({"rollback_rounds": 0})
	decision.obligations == {"state": "quarantined"}
}

test_without_an_alpha_nothing_is_decided if {
	every alpha in [0, "0.02", null, []] {
		decision := response.decision with input as samples.responding with data.data.limits as limited({"alpha": alpha})
		samples.codes(decision) == {"behaviour_weighed"}
	}
}
