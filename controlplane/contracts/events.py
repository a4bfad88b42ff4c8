"""Security events as they are pushed: Security Event Tokens (RFC 8417) in the shape of CAEP 1.0 and SSF 1.0.

Three events are CAEP's: a session revoked, a credential changed, a device's compliance changed. A fourth is SSF's
verification event, which says that the stream is alive and how far it has come; a fifth is ours, and says that
events may have been missed.
"""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from controlplane.contracts.base import Identifier, StrictModel, Text, Thumbprint, Timestamp

_CAEP = "https://schemas.openid.net/secevent/caep/event-type"
SESSION_REVOKED = f"{_CAEP}/session-revoked"
CREDENTIAL_CHANGE = f"{_CAEP}/credential-change"
DEVICE_COMPLIANCE_CHANGE = f"{_CAEP}/device-compliance-change"
VERIFICATION = "https://schemas.openid.net/secevent/ssf/event-type/verification"
RESET = "urn:ztfm:event-type:reset"

EventKind = Literal["session-revoked", "credential-change", "device-compliance-change"]
"""What is kept and counted; the other two events are about the stream itself."""

Initiator = Literal["admin", "user", "policy", "system"]
"""Who brought an event about (CAEP section 2): a person, its own holder, a policy, or the system itself."""

Compliance = Literal["compliant", "not-compliant"]

CredentialKind = Literal["signing-key", "device-key", "x509"]
"""``signing-key`` is one of ours, ``device-key`` an enrolled subject's, ``x509`` its certificate."""

REACH_SECONDS = 2.0
"""What ends a subject's capabilities also ends those issued up to this much later: a replica may have minted them
from what it remembered (one second) while it was asking policy (one second)."""

STREAM = "events"
"""The one stream's id (SSF section 8.1.1)."""

Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}$")]
"""A BCP 47 language tag."""


class OpaqueSubject(StrictModel):
    """Whom an event is about, by our name for it: a subject's id, or a signing key's (RFC 9493 section 3.2.4)."""

    format: Literal["opaque"]
    id: Identifier | Thumbprint


class JwtSubject(StrictModel):
    """One capability that an event is about (SSF section 3.3.1)."""

    format: Literal["jwt_id"]
    iss: Annotated[str, Field(min_length=1, max_length=256)]
    jti: Identifier


SubjectId = Annotated[OpaqueSubject | JwtSubject, Field(discriminator="format")]


class CaepEvent(StrictModel):
    """What every CAEP event may say (CAEP section 2).

    Attributes:
        event_timestamp: when it happened.
        initiating_entity: who brought it about.
        reason_admin: why, for operators, by language.
        reason_user: why, for the subject's owner, by language.
    """

    event_timestamp: Timestamp
    initiating_entity: Initiator | None = None
    reason_admin: Annotated[dict[Language, Text], Field(min_length=1, max_length=8)] | None = None
    reason_user: Annotated[dict[Language, Text], Field(min_length=1, max_length=8)] | None = None


class SessionRevoked(CaepEvent):
    """One capability is void, or all that a subject holds (CAEP section 3.1)."""


class CredentialChange(CaepEvent):
    """A key or a certificate came or went (CAEP section 3.3)."""

    credential_type: CredentialKind
    change_type: Literal["create", "revoke", "update", "delete"]
    friendly_name: Text | None = None


class DeviceComplianceChange(CaepEvent):
    """A device was set apart, or let back in (CAEP section 3.5)."""

    previous_status: Compliance
    current_status: Compliance


class Verification(StrictModel):
    """The stream is alive (SSF section 8.1.4.1).

    Attributes:
        state: the newest sequence; whoever has seen less has missed something.
    """

    state: Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,18})$")]


class Reset(StrictModel):
    """Events may have been missed: nothing that was issued at or before this time is to be trusted."""

    event_timestamp: Timestamp


class Events(StrictModel):
    """The ``events`` claim: exactly one event by the URI of its type (RFC 8417 section 2.2)."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    session_revoked: Annotated[SessionRevoked | None, Field(alias=SESSION_REVOKED)] = None
    credential_change: Annotated[CredentialChange | None, Field(alias=CREDENTIAL_CHANGE)] = None
    device_compliance_change: Annotated[DeviceComplianceChange | None, Field(alias=DEVICE_COMPLIANCE_CHANGE)] = None
    verification: Annotated[Verification | None, Field(alias=VERIFICATION)] = None
    reset: Annotated[Reset | None, Field(alias=RESET)] = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(getattr(self, name) is not None for name in type(self).model_fields) != 1:
            raise ValueError("a token is about one event")
        return self

    @property
    def kind(self) -> EventKind | None:
        """Which of CAEP's events it is; none for one about the stream itself."""
        if self.session_revoked is not None:
            return "session-revoked"
        if self.credential_change is not None:
            return "credential-change"
        return "device-compliance-change" if self.device_compliance_change is not None else None

    @property
    def caep(self) -> CaepEvent | None:
        """CAEP's event; none for one about the stream itself."""
        return self.session_revoked or self.credential_change or self.device_compliance_change


class SecurityEvent(StrictModel):
    """An event as it is kept, before anybody signs it.

    Attributes:
        txn: the same for all events of one cause: a decision's id, or one made for it.
        sub_id: whom or what it is about.
        events: what happened.
    """

    txn: Identifier
    sub_id: SubjectId
    events: Events


class SecurityEventClaims(SecurityEvent):
    """The claims of a Security Event Token. There is no ``exp`` and no ``sub``, so it passes for nothing else.

    Attributes:
        iss: the control plane.
        aud: the stream.
        iat: Unix seconds, whole.
        jti: unique; for a kept event it follows from the sequence.
    """

    iss: Annotated[str, Field(min_length=1, max_length=256)]
    aud: Annotated[str, Field(min_length=1, max_length=512)]
    iat: Annotated[int, Field(ge=0, le=253_402_300_799)]
    jti: Identifier


RevocationKind = Literal["capability", "subject", "key", "place"]


class Revocation(StrictModel):
    """One thing that is void.

    Attributes:
        kind: ``capability`` with its id, ``subject`` with its name, ``key`` with its kid, or ``place`` with where a
            void capability stands in a Token Status List (``window.place``).
        value: which.
        revoked_at: Unix seconds; what a subject got at or before this is void.
        expires_at: when nothing can be left that it concerns.
    """

    kind: RevocationKind
    value: Identifier | Thumbprint
    revoked_at: Timestamp
    expires_at: Timestamp


class Notice(StrictModel):
    """What is written together: what is void from now on, and the events that say so."""

    revocations: Annotated[list[Revocation], Field(max_length=20_000)] = Field(default_factory=list)
    events: Annotated[list[SecurityEvent], Field(max_length=20_000)] = Field(default_factory=list)
