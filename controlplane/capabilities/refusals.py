"""Why a token or a proof does not hold: a value, with a cause from a closed vocabulary."""

from dataclasses import dataclass
from typing import Literal

Cause = Literal[
    "malformed",
    "unknown_key",
    "bad_signature",
    "expired",
    "not_yet_valid",
    "wrong_issuer",
    "wrong_audience",
    "wrong_subject",
    "wrong_action",
    "wrong_resource",
    "wrong_round",
    "wrong_digest",
    "wrong_key",
    "replayed",
    "proof_missing",
    "proof_malformed",
    "proof_bad_signature",
    "proof_stale",
    "proof_replayed",
    "proof_wrong_target",
    "proof_wrong_token",
    "proof_wrong_nonce",
    "proof_nonce_missing",
    "proof_foreign_nonce",
    "proof_stale_nonce",
    "certificate_missing",
    "wrong_certificate",
    "unknown_constraint",
    "revoked",
    "revocations_unknown",
    "wrong_segment",
    "wrong_purpose",
    "too_large",
    "norm_exceeded",
    "not_sealed",
    "wrong_shards",
    "assertion_malformed",
    "assertion_wrong_algorithm",
    "assertion_wrong_type",
    "assertion_unknown_header",
    "assertion_wrong_key",
    "assertion_bad_signature",
    "assertion_wrong_subject",
    "assertion_wrong_audience",
    "assertion_expired",
    "assertion_too_long",
    "assertion_not_yet_valid",
    "assertion_delegates",
    "assertion_replayed",
]
"""Every cause there is; metrics may use it as a label."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A capability or a proof that does not hold.

    Attributes:
        cause: for the enforcement point's logs and metrics; tell a caller no more than 401.
        detail: one sentence for humans; it never repeats what was presented.
    """

    cause: Cause
    detail: str
