# METADATA
# title: Rules
# description: |
#   What the house asks for before a model comes in and before an update goes out. Each file adds requirements to
#   `required`, and to `proven` where they are shown to hold, from values of a known type.
package site.rules

# METADATA
# title: Answer
# description: What the engine at the house reads.
answer := {"required": required, "proven": proven}

# METADATA
# title: Is aside
# description: Whether something else is asked about, which this policy has no word on.
is_aside if {
	is_string(input.action.name)
	not input.action.name in {"model_in", "update_out"}
}

# METADATA
# title: Is going out
# description: Whether an update goes out, or nobody says what is asked.
is_going_out if {
	not is_aside
	not is_coming_in
}

# METADATA
# title: Is coming in
# description: Whether a model comes in.
is_coming_in if input.action.name == "model_in"
