package ztfm.batch

decisions[id] := decision if {
	some id, facts in input.content
	decision := data.ztfm.content.decision with input as facts
}
