# METADATA
# title: Batch
# description: |
#   What the site says about each question, by its id, whatever it is about: silence denies. What is said can only
#   take away from what the base allows.
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
