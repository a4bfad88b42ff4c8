# METADATA
# title: Issuers
# description: |
#   Says whether anything that an issuer says is of interest. The control plane asks before it looks for the issuer's
#   keys, so that a stranger cannot have it call whom they like.
# schemas:
#   - input: schema.input.issuers
package ztfm.issuers

import data.data.enrolment as accepted

# METADATA
# title: Terms
# description: Whether the issuer is among those that `data/enrolment` names.
# scope: document
default terms := {"accepted": false}

terms := {"accepted": true} if accepted.issuers[input.issuer].types
