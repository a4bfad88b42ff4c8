package ztfm.gradient_submission

import data.ztfm.lib.confidentiality

# METADATA
# title: Required
# description: |
#   What a submission must prove; a phase that nobody knows is never proven. An arrived update is reported by its
#   enforcement point, so the network that the report came from says nothing about the subject.
# scope: document
# schemas:
#   - input: schema.input.gradient_submission
default required := {"phase_known"}

required := ((always | noise.charged) | submitted_to) | {
	"network_allowed",
	"requests_within_budget",
	"window_open",
} if {
	input.context.phase == "grant"
}

required := ((always | noise.arrived) | submitted_to) | {
	"behaviour_admitted",
	"capability_for_model",
	"capability_for_round",
	"capability_for_segment",
	"capability_fresh",
	"capability_norm_kept",
	"capability_unused",
	"capability_verified",
	"evidence_expected",
	"update_aligned",
	"update_bounded",
	"update_examples",
	"update_finite",
	"update_measured",
	"update_new",
	"update_plausible",
	"update_shaped",
	"update_unique",
} if {
	input.context.phase == "admit"
}

# METADATA
# title: Always
# description: What both phases require.
always := {
	"action_not_held",
	"attestation_fresh",
	"attestation_sufficient",
	"confidentiality_kept",
	"holds_known",
	"resource_known",
	"role_granted",
	"round_for_model",
	"round_known",
	"round_member",
	"round_open",
	"segment_allowed",
	"subject_active",
	"subject_known",
	"submission_outstanding",
	"trust_sufficient",
}

# METADATA
# title: Submitted to
# description: What is required of whoever is sent the update, and of those whose updates it is summed with.
submitted_to := set() if confidentiality.mode == "plain"

else := confidentiality.housed(trained) | confidentiality.accompanied(trained)

# METADATA
# title: Differences
# description: What of the platform of the round's aggregator is not as it has to be.
# scope: document
# schemas:
#   - input: schema.input.gradient_submission
default differences := {}

differences := {"aggregator_attested": confidentiality.unlike(shown)} if {
	shown := object.get(input, ["context", "round", "aggregator", "results"], {})
}
