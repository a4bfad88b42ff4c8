"""Signed statements (DSSE envelopes, in-toto Statement v1): who shaped a model in a round."""

import base64
import binascii
import json
from typing import Annotated, Any, Literal, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import Field, StringConstraints, ValidationError

from controlplane.contracts.base import Digest, Identifier, StrictModel, Timestamp
from controlplane.contracts.unambiguous import refuse_deep
from controlplane.transparency.notes import NoteInvalid, Signer, Verifier

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:ztfm:round-provenance:v1"
MOST_ENVELOPE = 16 * 1024 * 1024
_MOST_CONTRIBUTIONS = 100_000


class StatementInvalid(Exception):  # noqa: N818 - named for what happened
    """An envelope or its statement is not what it should be. The message says how."""


class Contributed(StrictModel):
    """An update that entered the model.

    Attributes:
        subject: whose.
        update_digest: of the update as it was submitted.
        decision_id: that admitted it.
        time: Unix seconds.
    """

    subject: Identifier
    update_digest: Digest
    decision_id: Identifier
    time: Timestamp


class Undone(StrictModel):
    """A rollback that was carried out after the round.

    Attributes:
        id: of the order.
        subjects: whose updates were left out.
        decision_id: that allowed or asked for it.
        model_digest: of the rebuilt weights.
    """

    id: Identifier
    subjects: list[Identifier]
    decision_id: Identifier
    model_digest: Digest


class RoundProvenance(StrictModel):
    """What a round made of a model.

    Attributes:
        round_id: the round.
        model: its name.
        before: digest of the weights that it began with.
        after: digest of those that the next round began with, as its aggregator sealed them.
        aggregator: who brought the updates together.
        aggregation: how.
        opened_at: Unix seconds.
        policy_revisions: by which the updates were admitted.
        contributions: what entered.
        rollbacks: what was undone before the next round began.
    """

    round_id: Identifier
    model: Identifier
    before: Digest
    after: Digest
    aggregator: Identifier
    aggregation: Annotated[str, StringConstraints(max_length=64)]
    opened_at: Timestamp
    policy_revisions: list[Annotated[str, StringConstraints(max_length=128)]]
    contributions: list[Contributed] = Field(max_length=_MOST_CONTRIBUTIONS)
    rollbacks: list[Undone]

    def statement(self) -> bytes:
        """Return it as an in-toto statement whose subject is the model that came out."""
        return _encoded(
            {
                "_type": STATEMENT_TYPE,
                "subject": [{"name": self.model, "digest": {"sha256": self.after.removeprefix("sha256:")}}],
                "predicateType": PREDICATE_TYPE,
                "predicate": self.model_dump(mode="json"),
            }
        )

    @classmethod
    def of_statement(cls, payload: bytes) -> Self:
        """Return what a statement says.

        Raises:
            StatementInvalid: it is another kind of statement, or about another model than it says.
        """
        try:
            refuse_deep(payload)
            stated = json.loads(payload)
            if (stated["_type"], stated["predicateType"]) != (STATEMENT_TYPE, PREDICATE_TYPE):
                raise StatementInvalid("it states something else than a round's provenance")
            found = cls.model_validate_json(json.dumps(stated["predicate"]))
            (subject,) = stated["subject"]
            named = subject["name"], "sha256:" + subject["digest"]["sha256"]
        except (KeyError, TypeError, ValueError, ValidationError, RecursionError):
            raise StatementInvalid("it is no in-toto statement of a round's provenance") from None
        if named != (found.model, found.after):
            raise StatementInvalid("its subject is another model than the one that it tells of")
        return found


class _SignatureLine(StrictModel):
    keyid: Annotated[str, StringConstraints(max_length=256)]
    sig: Annotated[str, StringConstraints(max_length=256)]


class Envelope(StrictModel):
    """A DSSE envelope (github.com/secure-systems-lab/dsse), as it travels."""

    payloadType: Literal["application/vnd.in-toto+json"]  # noqa: N815 - the format's own name
    payload: Annotated[str, StringConstraints(max_length=MOST_ENVELOPE)]
    signatures: list[_SignatureLine] = Field(min_length=1, max_length=16)


def sign_statement(payload: bytes, signer: Signer) -> bytes:
    """Return an envelope around a statement, signed with the log's key."""
    signature = signer.key.sign(authenticated(payload))
    line = {"keyid": str(signer.verifier), "sig": base64.b64encode(signature).decode()}
    return _encoded({"payloadType": PAYLOAD_TYPE, "payload": base64.b64encode(payload).decode(), "signatures": [line]})


def verify_statement(envelope: bytes, key: Verifier) -> RoundProvenance:
    """Return what a signed statement says.

    Raises:
        StatementInvalid: it is none, or no signature of ``key`` holds.
    """
    try:
        found = Envelope.model_validate_json(envelope)
        payload = base64.b64decode(found.payload, validate=True)
    except (ValidationError, binascii.Error, ValueError):
        raise StatementInvalid("it is no DSSE envelope of an in-toto statement") from None
    if not any(_holds(payload, line, key) for line in found.signatures):
        raise StatementInvalid(f"no signature of {key.name} holds")
    return RoundProvenance.of_statement(payload)


def _holds(payload: bytes, line: _SignatureLine, key: Verifier) -> bool:
    try:
        signature = base64.b64decode(line.sig, validate=True)
        Ed25519PublicKey.from_public_bytes(key.key).verify(signature, authenticated(payload))
    except (InvalidSignature, binascii.Error, ValueError, NoteInvalid):
        return False
    return True


def authenticated(payload: bytes) -> bytes:
    """Return what is signed of a statement: the pre-authentication encoding of its envelope (DSSE 1.0)."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _encoded(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
