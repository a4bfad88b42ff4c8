package ztfm.admin

import data.data.resources

# METADATA
# title: Signature verified
# description: The signature under a version of a model holds, and is somebody's who is trusted here.
# schemas:
#   - input: schema.input.admin
proven contains "signature_verified" if input.resource.properties.signature == "verified"

# METADATA
# title: Signer granted
# description: Whoever signed it may sign this model.
# schemas:
#   - input: schema.input.admin
proven contains "signer_granted" if {
	signers := resources[input.resource.properties.model].signers
	signers[input.resource.properties.signer] == true
}

# METADATA
# title: Signed as model
# description: What was signed is called like the model; what somebody signed for one model passes for no other.
# schemas:
#   - input: schema.input.admin
proven contains "signed_as_model" if {
	is_string(input.resource.properties.model)
	input.resource.properties.name == input.resource.properties.model
}
