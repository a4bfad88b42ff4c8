package ztfm.admin_test

import data.ztfm.admin
import data.ztfm.lib.samples_test as samples

signed := {
	"model": "fall-detection",
	"name": "fall-detection",
	"signature": "verified",
	"signer": "example-lab",
}

registering(role, properties) := samples.put(
	samples.administering(role, "model:register", "model_version"),
	"/resource/properties",
	properties,
)

test_an_administrator_alone_registers_what_was_signed if {
	able := {role |
		some role in roles
		admin.decision.allow with input as registering(role, signed)
	}
	able == {"administrator"}
}

test_a_signature_that_does_not_hold_registers_nothing if {
	every cause in ["malformed", "signature", "untrusted", "", null, true, 1, ["verified"]] {
		codes := samples.codes(admin.decision) with input as registering(
			"administrator",
			object.union(signed, {"signature": cause}),
		)
		codes == {"signature_verified"}
	}
	codes := samples.codes(admin.decision) with input as registering(
		"administrator",
		object.remove(signed, ["signature"]),
	)
	codes == {"signature_verified"}
}

test_a_signer_signs_its_own_models_alone if {
	every signer in ["stranger", "", null, true, 1, ["example-lab"], {"example-lab": true}] {
		codes := samples.codes(admin.decision) with input as registering(
			"administrator",
			object.union(signed, {"signer": signer}),
		)
		codes == {"signer_granted"}
	}
	codes := samples.codes(admin.decision) with input as registering(
		"administrator",
		object.union(signed, {"model": "sentence-encoder", "name": "sentence-encoder"}),
	)
	codes == {"signer_granted"}
}

test_what_was_signed_as_one_model_is_no_other if {
	every name in ["smart-home-intents", "", null, true, 1, ["fall-detection"]] {
		codes := samples.codes(admin.decision) with input as registering(
			"administrator",
			object.union(signed, {"name": name}),
		)
		codes == {"signed_as_model"}
	}
}

test_a_model_that_nobody_knows_has_no_signers if {
	every model in ["unheard-of", null, 1, true] {
		codes := samples.codes(admin.decision) with input as registering(
			"administrator",
			object.union(signed, {"model": model, "name": model}),
		)
		"signer_granted" in codes
	}
	codes := samples.codes(admin.decision) with input as registering("administrator", {})
	codes == {"signature_verified", "signed_as_model", "signer_granted"}
}
