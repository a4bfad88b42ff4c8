package ztfm.lib.differing_test

import data.ztfm.lib.differing

test_no_more_is_told_than_a_decision_may_hold if {
	digits := {digit | some digit in split("0123456789abcdefghijklmnop", "")}
	many := {differing.difference(digit, "", digits) | some digit in digits}
	count(differing.told(many).differences) == 16
	every difference in many {
		difference.wanted == ["0", "1", "2", "3", "4", "5", "6", "7"]
	}
	long := concat("", [digit | some digit in digits; some _ in digits])
	difference := differing.difference(long, long, {long})
	[count(difference.claim), count(difference.seen), count(difference.wanted[0])] == [128, 256, 256]
}

test_where_there_is_nothing_to_tell_nothing_is_told if {
	differing.told(set()) == {}
}

test_whatever_is_seen_is_told_as_text if {
	every text, value in {
		`null`: null,
		`1.5`: 1.5,
		`object`: {"a": [1]},
		`array`: ["a"],
		`true`: true,
		`sha256`: "sha256",
	} {
		differing.as_text(value) == text
	}
}
