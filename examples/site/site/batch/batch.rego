# METADATA
# title: Batch
# description: |
#   What the house says about each question, by its id, whatever it is about: silence denies.
# entrypoint: true
package site.batch

# METADATA
# title: Answers
# description: The answers by question id.
# scope: document
answers[id] := answer if {
	some questions in input
	some id, facts in questions
	answer := data.site.rules.answer with input as facts
}
