"""Entity Attestation Tokens (EAT, RFC 9711) of one strict profile, as CWT and as JWT."""
