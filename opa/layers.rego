# METADATA
# title: Layers
# description: |
#   Combines what the base decides with what a tenant and a site ask for beyond it. It lies beside OPA and in no bundle,
#   so that no layer can change it. A layer only narrows: what the base denies stays denied for the same reasons, and
#   what it allows is denied unless every expected layer answers and proves all that it requires.
#
#   A layer answers in `data.<layer>.batch.answers`, by the ids of the batch's questions:
#   `{"required": codes, "proven": codes}`, each a set or an array, at most 16 required; with `ttl_seconds` (an upper
#   bound, 5 or more), `watch` and `quarantine` (true or false) where it wants. An answer with anything else in it
#   denies. `quarantine` sets the subject of a response apart, and `watch` has it stand no better than watched;
#   elsewhere `quarantine` says nothing.
package combined

# METADATA
# title: Batch
# description: |
#   The decisions and their revision, as the control plane asks for them. Which layers are expected is data that OPA was
#   started with; without it there is no answer.
# entrypoint: true
# scope: document
batch := decided if data.layers.expected == []

batch := narrow(decided, data.layers.expected, active) if count(data.layers.expected) > 0

# METADATA
# title: Decided
# description: What the base answers, under the revision of its active bundle, whatever it says of itself.
# scope: document
decided := object.union(data.ztfm.batch, {"revision": data.system.bundles.ztfm.manifest.revision})

# METADATA
# title: Narrowed
# description: |
#   The same over input alone, for engines that evaluate each layer by itself: `revision` and `decisions` of the base,
#   `expected` (an array of layers), and `layers`, by name, each with its `revision`, its `answers` by id, and its
#   `reasons`, which are its `data.<layer>.reasons`. A layer without an active bundle is absent.
# entrypoint: true
narrowed := narrow({"revision": input.revision, "decisions": input.decisions}, input.expected, input.layers)

# METADATA
# title: Active
# description: What each layer with an active bundle says.
# scope: document
active["tenant"] := {
	"revision": data.system.bundles.tenant.manifest.revision,
	"answers": data.tenant.batch.answers,
	"reasons": tenant_reasons,
}

active["site"] := {
	"revision": data.system.bundles.site.manifest.revision,
	"answers": data.site.batch.answers,
	"reasons": site_reasons,
}

default tenant_reasons := {}

tenant_reasons := data.tenant.reasons

default site_reasons := {}

site_reasons := data.site.reasons

# METADATA
# title: Narrow
# description: |
#   A batch with every decision in it narrowed; what a decision cannot be made of is left out, which counts as an error.
#   Other answers, such as the names that a search asks about, allow nothing and stay as they are.
narrow(batched, expected, layers) := object.union(object.remove(batched, {"revision", "decisions"}), {
	"revision": concat("+", array.concat([batched.revision], [stamp(layer, layers) | some layer in expected])),
	"decisions": object.union(
		{id: listing | some id, listing in batched.decisions; not is_decision(listing)},
		{id: decision |
			some id, decided in batched.decisions
			is_decision(decided)
			said := [word(layer, object.get(layers, layer, {}), id) | some layer in expected]
			count(said) == count(expected)
			decision := lowered(decided, said)
		},
	),
}) if {
	is_array(expected)
	every layer in expected {
		layer in {"tenant", "site"}
	}
}

# METADATA
# title: Is decision
# description: Whether an answer of the base could allow anything.
is_decision(answer) if {
	is_object(answer)
	object.get(answer, "allow", null) != null
}

# METADATA
# title: Stamp
# description: By which revision a layer answers.
# scope: document
stamp(layer, layers) := concat(":", [layer, layers[layer].revision]) if is_active(layers[layer])

else := concat(":", [layer, "none"])

# METADATA
# title: Word
# description: What a layer says about one question. Only a whole answer that proves all that it requires consents.
# scope: document
word(layer, state, id) := {"consents": true, "answer": answer, "rules": prefixed(layer, answer.required)} if {
	is_active(state)
	answer := state.answers[id]
	is_answer(answer)
	count(missing(answer)) == 0
} else := {"consents": false, "reasons": reasons, "rules": prefixed(layer, answer.required)} if {
	is_active(state)
	answer := state.answers[id]
	is_answer(answer)
	texts := object.get(state, "reasons", {})
	reasons := [reason(layer, code, texts) | some code in sort(missing(answer))]
} else := {"consents": false, "reasons": [reason(layer, code, faults)], "rules": {concat(":", [layer, code])}} if {
	code := fault(state, id)
}

# METADATA
# title: Fault
# description: Why what a layer answers cannot be used.
# scope: document
fault(state, id) := "layer_unavailable" if not is_active(state)

else := "layer_silent" if not state.answers[id]

else := "layer_malformed"

# METADATA
# title: Faults
# description: What each fault means, and what to do.
faults := {
	"layer_malformed": {
		"message": "The answer of this layer's policies is not of its form.",
		"remedy": "Whoever signs for the layer: run ztfm policy check with --layer on its folder, and publish it again.",
	},
	"layer_silent": {
		"message": "This layer's policies do not answer this question.",
		"remedy": "Whoever signs for the layer: let its batch answer every question, as ztfm policy check asks.",
	},
	"layer_unavailable": {
		"message": "Policies of this layer are expected, and none are active.",
		"remedy": "The operator: see ztfm policy status, and publish a bundle that is signed for the layer.",
	},
}

# METADATA
# title: Unexplained
# description: Stands for a text that is missing, or is none.
unexplained := {
	"message": "A requirement of this layer's policies was not met.",
	"remedy": "Ask whoever signs the policies of the layer, and name this code.",
}

# METADATA
# title: Active
# description: Whether a layer has an active bundle that answers.
is_active(state) if {
	is_string(state.revision)
	state.revision != ""
	is_object(state.answers)
}

# METADATA
# title: Answer
# description: Whether an answer is of its form; each member is of a known type, and there is no other.
is_answer(answer) if {
	required := codes(answer.required)
	count(required) <= 16
	every code in required {
		is_code(code)
	}
	codes(answer.proven)
	object.remove(answer, {"required", "proven", "quarantine", "ttl_seconds", "watch"}) == {}
	is_boolean(object.get(answer, "quarantine", false))
	is_boolean(object.get(answer, "watch", false))
	lifetime := object.get(answer, "ttl_seconds", 5)
	is_number(lifetime)
	lifetime >= 5
}

# METADATA
# title: Code
# description: Whether something can be the code of a reason behind the layer's name.
is_code(code) if regex.match(`^[a-z][a-z0-9_:.-]{0,56}$`, code)

# METADATA
# title: Codes
# description: A set of what is listed in a set or, as JSON has none, in an array.
# scope: document
codes(listed) := listed if is_set(listed)

codes(listed) := {code | some code in listed} if is_array(listed)

missing(answer) := codes(answer.required) - codes(answer.proven)

prefixed(layer, listed) := {concat(":", [layer, code]) | some code in listed}

# METADATA
# title: Reason
# description: One reason with its text.
# scope: document
reason(layer, code, texts) := {"code": concat(":", [layer, code]), "message": message, "remedy": remedy} if {
	{"message": message, "remedy": remedy} = texts[code]
	is_text(message)
	is_text(remedy)
} else := object.union({"code": concat(":", [layer, code])}, unexplained)

is_text(text) if {
	is_string(text)
	count(text) > 0
	count(text) <= 512
}

# METADATA
# title: Lowered
# description: |
#   A decision of the base after what the layers said. A refusal takes what an allowed request comes with, and keeps
#   what holds of the subject: no layer keeps it from being set apart. What the base allows must be whole before it is
#   bounded, so that no bound mends it.
# scope: document
lowered(decided, said) := object.union(object.remove(decided, {"obligations"}), {
	"allow": false,
	"obligations": lasting(decided.obligations, said),
	"reasons": array.concat(decided.reasons, [reason | some word in said; some reason in word.reasons]),
	"rules": asked(decided, said),
	"ttl_seconds": 0,
}) if {
	false in {word.consents | some word in said}
} else := decided if {
	decided.allow == false
} else := object.union(decided, {
	"obligations": restrained(decided.obligations, said),
	"rules": asked(decided, said),
	"ttl_seconds": min(array.concat([decided.ttl_seconds], [word.answer.ttl_seconds | some word in said])),
}) if {
	decided.allow == true
	count(decided.rules) > 0
	is_number(decided.ttl_seconds)
	every word in said {
		word.consents
	}
}

# METADATA
# title: Asked
# description: The requirements of the base, and those of the layers behind their names.
asked(decided, said) := union({codes(decided.rules)} | {word.rules | some word in said})

# METADATA
# title: Restrained
# description: |
#   The obligations, with the subject watched, or set apart, where a layer wants it. Where the base says how a subject
#   stands from now on, a layer can only have it stand worse.
# scope: document
restrained(obligations, said) := object.union(obligations, {"state": "quarantined"}) if {
	true in {word.answer.quarantine | some word in said}
	obligations.state in {"trusted", "watched", "recovering", "quarantined"}
} else := object.union(obligations, {"state": "watched"}) if {
	true in {word.answer.watch | some word in said}
	obligations.state == "trusted"
} else := obligations if {
	obligations.state
} else := object.union(obligations, {"watch": true}) if {
	true in {word.answer.watch | some word in said}
	is_boolean(object.get(obligations, "watch", false))
} else := obligations

# METADATA
# title: Lasting
# description: What holds of the subject although the request is refused.
lasting(obligations, said) := object.filter(after, {"rollback_rounds", "state", "watch"}) if {
	after := restrained(obligations, said)
	after.state == "quarantined"
} else := object.filter(obligations, {"watch", "withdraw_attestation"})
