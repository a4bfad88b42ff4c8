package site.rules_test

import data.site.rules

# The window that these tests decide by: changing site/data/maintenance_window changes no test.
maintenance_window_window := {"models": {"m": true}, "opens_at_second": 3600, "closes_at_second": 7200}

# A pull so many seconds after a midnight.
maintenance_window_asked(second) := {
	"action": {"name": "model_access"},
	"resource": {"id": "m"},
	"context": {"time": 1763078400 + second},
}

test_maintenance_window_holds_pulls_to_the_window_of_any_day if {
	every second in [3600, 5000, 7199, ((86400 * 3) + 3600) + 0.5] {
		answer := rules.answer with input as maintenance_window_asked(second)
			with data.site.data.maintenance_window as maintenance_window_window
		"maintenance_window_open" in answer.required
		"maintenance_window_open" in answer.proven
	}
	every second in [0, 3599, 7200, 86399] {
		answer := rules.answer with input as maintenance_window_asked(second)
			with data.site.data.maintenance_window as maintenance_window_window
		"maintenance_window_open" in answer.required
		not "maintenance_window_open" in answer.proven
	}
}

test_maintenance_window_is_not_proven_by_what_is_no_time if {
	every at in [null, true, "5000", [5000], {}] {
		asked := object.union(maintenance_window_asked(5000), {"context": {"time": at}})
		answer := rules.answer with input as asked
			with data.site.data.maintenance_window as maintenance_window_window
		"maintenance_window_open" in answer.required
		not "maintenance_window_open" in answer.proven
	}
}

test_maintenance_window_is_not_proven_without_a_window if {
	every name in object.keys(maintenance_window_window) {
		less := object.remove(maintenance_window_window, {name})
		answer := rules.answer with input as maintenance_window_asked(8000)
			with data.site.data.maintenance_window as less
		"maintenance_window_open" in answer.required
		not "maintenance_window_open" in answer.proven
	}
}

test_maintenance_window_does_not_hold_other_actions_and_models if {
	every change in [{"action": {"name": "inference"}}, {"resource": {"id": "another"}}] {
		asked := object.union(maintenance_window_asked(0), change)
		answer := rules.answer with input as asked
			with data.site.data.maintenance_window as maintenance_window_window
		not "maintenance_window_open" in answer.required
	}
}

test_maintenance_window_holds_whoever_does_not_say_what_is_asked if {
	every facts in [{}, {"action": {"name": null}}, {"action": "inference"}, {"resource": {"id": null}}] {
		answer := rules.answer with input as facts
			with data.site.data.maintenance_window as maintenance_window_window
		"maintenance_window_open" in answer.required
	}
}
