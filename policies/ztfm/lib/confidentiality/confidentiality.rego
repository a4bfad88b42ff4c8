# METADATA
# title: Confidentiality
# description: |
#   What an aggregator sees of the updates of a model: each of them (`plain`), the sums of groups of members alone
#   (`grouped`), or each of them within a platform that is attested (`tee`). With it goes which evidence there is.
package ztfm.lib.confidentiality

import data.data.confidentiality as kept
import data.data.resources

# METADATA
# title: Mode of
# description: As the model's entry says, plain where it says nothing; undefined for a word or a model nobody knows.
mode_of(name) := mode if {
	mode := object.get(resources[name], "confidentiality", "plain")
	mode in {"grouped", "plain", "tee"}
}

# METADATA
# title: Mode
# description: That of the model that is asked about, looked up once.
mode := mode_of(input.resource.id)

# METADATA
# title: Opened
# description: What a round of a model is opened with; nothing where it is as it always was.
# scope: document
opened(name) := {"confidentiality": "grouped", "group_size": kept.group_size} if mode_of(name) == "grouped"

else := submitted(name)

# METADATA
# title: Submitted
# description: How an update of a model is submitted; nothing where it is as it always was.
# scope: document
submitted(name) := {"confidentiality": mode_of(name)} if mode_of(name) != "plain"

else := {}

# METADATA
# title: Housed
# description: What is required of the aggregator of a model, whether it opens a round or is sent an update.
# scope: document
housed(name) := {"aggregator_attested"} if mode_of(name) == "tee"

else := set()

# METADATA
# title: Accompanied
# description: |
#   What is required of those whose updates are summed with one: an aggregator that could make them up would see what is
#   left.
# scope: document
accompanied(name) := {"group_enrolled"} if mode_of(name) == "grouped"

else := set()

# METADATA
# title: Proven
# description: |
#   The requirements of a submission that hold. A round stays as it was opened, and what the model's entry says by now
#   has to be the same.
# scope: document
proven contains "confidentiality_kept" if input.context.round.confidentiality == mode

proven contains "aggregator_attested" if {
	mode == "tee"
	is_attested(input.context.round.aggregator.results)
}

proven contains "group_enrolled" if {
	mode == "grouped"
	input.context.round.strangers == 0
}

proven contains "evidence_expected" if {
	mode in {"plain", "tee"}
	not "group" in object.keys(input.context)
}

proven contains "evidence_expected" if {
	mode == "grouped"
	every bound in [kept.group_minimum, kept.group_maximum] {
		is_number(bound)
	}
	input.context.group.size >= kept.group_minimum
	input.context.group.size <= kept.group_maximum
}
