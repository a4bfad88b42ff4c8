package ztfm.batch

decisions[id] := decision if {
	some id, facts in input.budget
	decision := data.ztfm.budget.decision with input as facts
}
