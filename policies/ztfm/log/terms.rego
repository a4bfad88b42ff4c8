# METADATA
# title: Log
# description: |
#   What of the decided facts is kept out of the decision log, and how long its records are kept, by package of
#   decisions. The control plane asks once for each policy revision. While it has no answer, it keeps out everything
#   that a caller added.
# schemas:
#   - input: schema.input.log
package ztfm.log

import data.data.log as kept

# METADATA
# title: Terms
# description: Mask and retention of each package that is asked about, as the control plane reads them.
terms[name] := object.union(mask[name], retention(name)) if some name in input.packages

# METADATA
# title: Mask
# description: |
#   Names of properties, wherever a caller adds them, and JSON pointers into the facts; `*` is any one step. Data of
#   another form is no mask: the control plane then keeps out everything that a caller added.
mask[name] := {"names": names, "pointers": pointers(name)} if some name in input.packages

# METADATA
# title: Names
# description: Those of properties that are masked; whatever is not false masks.
names := {masked | some masked, is_masked in kept.masked_names; is_masked != false} if is_object(kept.masked_names)

# METADATA
# title: Pointers
# description: Those for any package, and those for the one that is named.
pointers(name) := {pointer |
	some scope in {"any", name}
	some pointer, is_masked in kept.masked_pointers[scope]
	is_masked != false
} if {
	is_object(kept.masked_pointers)
	every scope in kept.masked_pointers {
		is_object(scope)
	}
}

# METADATA
# title: Retention
# description: |
#   How many days a record of a package is kept: its own, else those of any package, else as long as the control plane
#   is set to. The control plane never keeps one for longer than it is set to.
retention(name) := {"retention_days": days} if {
	days := kept.retention_days[name]
} else := {"retention_days": days} if {
	days := kept.retention_days.any
} else := {}
