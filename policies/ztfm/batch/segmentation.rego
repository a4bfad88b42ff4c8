package ztfm.batch

decisions[id] := decision if {
	some id, facts in input.segmentation
	decision := data.ztfm.segmentation.decision with input as facts
}

decisions[id] := terms if {
	some id, query in input.services
	terms := data.ztfm.services.terms with input as query
}
