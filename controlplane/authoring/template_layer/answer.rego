# METADATA
# title: Rules
# description: |
#   What the site asks for beyond the base, of any question. Each file here adds requirements to `required` where
#   they are asked, and to `proven` where they are shown to hold, from values of a known type.
package site.rules

# METADATA
# title: Answer
# description: What the combination of the layers reads; `ztfm policy new NAME --layer site` adds a rule beside it.
answer := {"required": required, "proven": proven}
