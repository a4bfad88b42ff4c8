# METADATA
# title: Samples
# description: |
#   Complete inputs that are allowed, for tests to break one thing at a time. The time is a Thursday, 02:13 UTC.
package ztfm.lib.samples_test

now := 1763000000.5

digest := "sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"

subject(roles, segment) := {
	"type": "device",
	"id": "dev-0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
	"properties": {
		"status": "active",
		"roles": roles,
		"segment": segment,
		"key_thumbprint": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
		"attestation": {"level": "none"},
		"trust": {"score": 0.82, "observations": 12, "history": steady},
	},
}

# Trust that has not fallen for 30 days.
steady := {"known_seconds": 2592000, "steady_seconds": 2592000, "lowest": 0.8}

model := {"type": "model", "id": "smart-home-intents", "properties": {"digest": digest}}

around := {
	"time": now,
	"network": {"address": "192.168.1.20"},
	"usage": {"window_seconds": 60, "requests": 4, "tokens": 900},
}

# Circumstances of what can be held, where nothing is.
held := object.union(around, {"holds": {"known": true, "current": {}}})

# A hold that lasts.
hold(segment, action) := {
	"segment": segment,
	"actions": [action],
	"alert": "ZtfmPoisoningCampaign",
	"fingerprint": "0f1e2d3c4b5a6978",
	"starts_at": now - 60,
	"ends_at": now + 840,
}

current_round := {
	"id": "round-7",
	"state": "open",
	"model": "smart-home-intents",
	"model_digest": digest,
	"opens_at": now - 20,
	"closes_at": now + 100,
	"member": true,
	"submissions": 0,
	"confidentiality": "plain",
}

training := {
	"subject": subject(["trainer"], "homes"),
	"action": {"name": "model_access"},
	"resource": model,
	"context": object.union(held, {"purpose": "training", "round": current_round}),
}

serving := {
	"subject": subject(["consumer"], "homes"),
	"action": {"name": "model_access"},
	"resource": model,
	"context": object.union(held, {"purpose": "serving"}),
}

asking := {
	"subject": subject(["trainer", "consumer"], "homes"),
	"action": {"name": "inference"},
	"resource": model,
	"context": object.union(held, {"inference": {"prompt_tokens": 24, "max_output_tokens": 64}}),
}

granting := {
	"subject": subject(["trainer"], "homes"),
	"action": {"name": "gradient_submission"},
	"resource": model,
	"context": object.union(held, {"phase": "grant", "round": current_round}),
}

admitting := {
	"subject": subject(["trainer"], "homes"),
	"action": {"name": "gradient_submission"},
	"resource": model,
	"context": object.union(held, {
		"phase": "admit",
		"round": current_round,
		"capability": capability,
		"evidence": evidence,
		"behaviour": behaviour,
	}),
}

behaviour := {"state": "trusted", "state_age_seconds": 3600, "e_value": 0.6, "p_value": 0.41, "comparable": 180}

responding := {
	"subject": subject(["trainer"], "homes"),
	"action": {"name": "respond"},
	"resource": {"type": "behaviour", "id": "dev-0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"},
	"context": {
		"time": now,
		"behaviour": object.union(behaviour, {
			"channel": "updates",
			"e_values": {"updates": 0.6},
			"contributed": 3,
			"conforming": {"updates": 9},
			"convicted": {},
		}),
	},
}

alerting := {
	"subject": {"type": "alertmanager", "id": "ztfm-policy"},
	"action": {"name": "alert"},
	"resource": {"type": "alert", "id": "ZtfmPoisoningCampaign"},
	"context": {
		"time": now,
		"alert": {
			"name": "ZtfmPoisoningCampaign",
			"severity": "ticket",
			"segment": "homes",
			"status": "firing",
			"fingerprint": "0f1e2d3c4b5a6978",
			"started_at": now - 45,
		},
		"policy_revision": "7c1d9e",
		"subjects": {"trusted": 180, "watched": 12, "quarantined": 4},
		"holds": {"known": true, "current": {}},
	},
}

differing := {
	"subject": {"type": "ledger", "id": "log"},
	"action": {"name": "identity"},
	"resource": {"type": "device", "id": "dev-0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"},
	"context": {
		"time": now,
		"finding": {"kind": "other_key", "together": 1},
		"device": {"status": "active", "roles": ["trainer"], "segment": "homes"},
	},
}

attesting := {
	"subject": subject(["trainer"], "homes"),
	"action": {"name": "attest"},
	"resource": {"type": "platform", "id": "tpm"},
	"context": {
		"time": now,
		"network": {"address": "192.168.1.20"},
		"challenge": {"valid": true, "age_seconds": 1.25},
		"evidence": {
			"verified": true,
			"cause": "",
			"answers": true,
			"binding": "8f14e45fceea167a5a36dedd4bea2543f7e9d3c1b6a2f0e4d5c8b7a6958473ab",
			"platform": "same",
			"claims": platform_claims,
		},
		"platform": {"others": 0},
		"release_key": {"suite": "x25519"},
	},
}

leasing := {
	"subject": subject(["consumer"], "homes"),
	"action": {"name": "budget"},
	"resource": {"type": "model", "id": "smart-home-intents"},
	"context": {
		"time": now,
		"gateway": "dev-gateway",
		"asked": {"requests": 1, "tokens": 600},
		"taken": {
			"subject": {"hour": {"requests": 40, "tokens": 9000}, "day": {"requests": 900, "tokens": 80000}},
			"model": {"hour": {"requests": 4000, "tokens": 900000}, "day": {"requests": 9000, "tokens": 1800000}},
			"segment": {"hour": {"requests": 4000, "tokens": 900000}, "day": {"requests": 9000, "tokens": 1800000}},
		},
		"leases": 1,
		"holds": {"known": true, "current": {}},
	},
}

releasing := {
	"subject": subject(["trainer"], "homes"),
	"action": {"name": "key_release"},
	"resource": {"type": "secret", "id": "smart-home-intents/weights"},
	"context": {
		"time": now,
		"network": {"address": "192.168.1.20"},
		"purpose": "training",
		"registered": true,
		"results": {"tpm": {
			"level": "software",
			"reference": "software-tpm",
			"age_seconds": 12.5,
			"suite": "mlkem768-x25519",
		}},
		"capability": {
			"verified": true,
			"cause": "",
			"model": "smart-home-intents",
			"purpose": "training",
			"whole": true,
			"shards": [],
			"age_seconds": 2.5,
		},
	},
}

segmenting := {
	"subject": subject(["trainer"], "homes"),
	"action": {"name": "segmentation"},
	"resource": {"type": "service", "id": "aggregator-1"},
	"context": {
		"time": now,
		"action": "gradient_submission",
		"model": "smart-home-intents",
		"attachment": {
			"address": "192.168.1.20",
			"site": "house-7",
			"line": "upstairs",
			"device_class": "camera",
			"tunnelled": false,
		},
	},
}

judging := {
	"subject": subject(["trainer", "consumer"], "homes"),
	"action": {"name": "inference"},
	"resource": {"type": "model", "id": "smart-home-intents"},
	"context": {
		"time": now,
		"network": {"address": "10.10.3.4"},
		"reporter": {"id": "gateway-1", "status": "active", "roles": ["gateway"], "segment": "core"},
		"capability": {"id": "cap-1", "age_seconds": 42.5},
		"direction": "prompt",
		"findings": {
			"injection": 0,
			"secrets": 0,
			"personal": {},
			"near_duplicate": false,
			"coverage": 0.05,
		},
		"holds": {"known": true, "current": {}},
	},
}

platform_claims := {
	"kind": "tpm",
	"anchor": "swtpm",
	"platform": "000b1f3a5c7e9d0b2f4a6c8e0d1b3f5a7c9e",
	"bound": "8f14e45fceea167a5a36dedd4bea2543f7e9d3c1b6a2f0e4d5c8b7a6958473ab",
	"debug": false,
	"status": "unstated",
	"measurements": {"pcr15": "0000000000000000000000000000000000000000000000000000000000000000"},
	"versions": {"firmware0": 8217, "resets": 3},
	"attributes": {"bank": "sha256", "vouched_by": "endorsement_key", "clock": "safe"},
	"advisories": [],
}

capability := {
	"verified": true,
	"cause": "",
	"uses": 0,
	"round": "round-7",
	"model": "smart-home-intents",
	"age_seconds": 3.25,
	"segment": "homes",
	"max_norm": 10,
}

evidence := {
	"update_digest": digest,
	"parameters": 23424,
	"nonfinite": 0,
	"shapes_match": true,
	"norm": 1.7,
	"norm_ratio": 1.1,
	"cosine": 0.63,
	"reference": "centre",
	"sign_agreement": 0.71,
	"duplicates": 0,
	"seen_before": false,
	"replay_cosine": 0.31,
	"examples": 96,
	"layer_shares": {"classifier.weight": 0.8, "classifier.bias": 0.2},
}

administering(role, action, kind) := {
	"subject": subject([role], "core"),
	"action": {"name": action},
	"resource": {"type": kind, "id": "the-thing", "properties": object.get(stated, action, {})},
	"context": object.union(around, {"network": {"address": "10.10.3.4"}}),
}

# What an action is never asked without: a round is opened of a model, a token issued for a role.
stated := {
	"round:create": {"model": "a-model"},
	"token:issue": {"roles": ["trainer"], "segment": "homes"},
}

# A plan of noise, by who adds it, for tests that set data of their own.
noise_of(mode) := {
	"data_sets": {"homes": {"delta": 0.00001, "description": "Homes.", "epsilon": 2, "window_days": 7}},
	"models": {"smart-home-intents": {
		"clip_norm": 1.5,
		"data_set": "homes",
		"mode": mode,
		"noise_multiplier": 8,
	}},
}

noise_terms(mode) := {
	"clip_norm": 1.5,
	"data_set": "homes",
	"delta": 0.00001,
	"mode": mode,
	"noise_multiplier": 8,
}

# What the control plane tells of that plan: the first of what would be spent.
costs(mode) := {
	"known": true,
	"cause": "",
	"terms": noise_terms(mode),
	"budget": {"epsilon": 2, "window_days": 7},
	"charges": 3,
	"epsilon_spent": 1.25,
	"epsilon_after": 1.5,
	"epsilon_alone": 0.75,
}

opening_door := {
	"subject": {"type": "user", "id": "alice"},
	"action": {"name": "open"},
	"resource": {"type": "door", "id": "front"},
	"context": object.union(around, {"network": {"address": "10.10.3.4"}}),
	"claims": {"subject": {"floor": 2}, "action": {}, "resource": {}, "context": {}},
}

enrolling := {
	"subject": {
		"type": "device",
		"id": "dev-0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
		"properties": {"roles": ["trainer"], "segment": "homes"},
	},
	"action": {"name": "enrol"},
	"resource": {"type": "federation", "id": "default"},
	"context": {
		"time": now,
		"network": {"address": "192.168.1.20"},
		"token": {
			"valid": true,
			"uses": 0,
			"expires_at": now + 3600,
			"roles": ["trainer", "consumer"],
			"segment": "homes",
		},
		"proof": {"verified": true},
	},
}

# What a newcomer shows in place of a token, and the rest of what it asks as it is.
showing(kind, shown) := json.patch(enrolling, [
	{"op": "remove", "path": "/context/token"},
	{"op": "add", "path": sprintf("/context/%s", [kind]), "value": shown},
])

crediting := showing("credential", {
	"valid": true,
	"cause": "",
	"issuer": "did:web:issuer.invalid",
	"vct": "https://issuer.invalid/device",
	"claims": {"model": "hub-3"},
	"key_bound": true,
	"status": "unstated",
	"age_seconds": 86400.5,
	"expires_at": now + 86400,
})

certifying := showing("certificate", {
	"valid": true,
	"cause": "",
	"manufacturer": "example-maker",
	"subject": "CN=hub-3,2.5.4.5=0042",
	"serial": "2a",
	"device": "0042",
	"key_bound": true,
	"expires_at": 253402300799,
})

# METADATA
# title: With
# description: The input with the value at the path, whether there was one or not.
put(document, path, value) := json.patch(document, [{"op": "add", "path": path, "value": value}])

# METADATA
# title: Without
# description: The input less what is at the path.
without(document, path) := json.patch(document, [{"op": "remove", "path": path}])

# METADATA
# title: Codes
# description: The codes of a decision's reasons.
codes(decision) := {reason.code | some reason in decision.reasons}

# METADATA
# title: Not numbers
# description: Values that must never pass for a number, though Rego orders some before and some after all numbers.
not_numbers := {null, true, false, "", "1", [], [1], {}}
