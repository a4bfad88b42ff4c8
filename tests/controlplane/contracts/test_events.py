import json
from typing import Any

import pytest
from pydantic import ValidationError

from controlplane.contracts.events import (
    CREDENTIAL_CHANGE,
    DEVICE_COMPLIANCE_CHANGE,
    SESSION_REVOKED,
    VERIFICATION,
    SecurityEventClaims,
)

CLAIMS: dict[str, Any] = {
    "iss": "https://control.example",
    "aud": "https://control.example/v1/events",
    "iat": 1_767_225_600,
    "jti": "set-7",
    "txn": "dec-1",
    "sub_id": {"format": "opaque", "id": "dev-a"},
    "events": {
        SESSION_REVOKED: {
            "event_timestamp": 1_767_225_600.5,
            "initiating_entity": "policy",
            "reason_admin": {"en": "The subject was revoked.", "de": "Zurückgezogen."},
        }
    },
}


def read(**changes: Any) -> SecurityEventClaims:
    return SecurityEventClaims.model_validate_json(json.dumps({**CLAIMS, **changes}))


def test_a_token_is_written_as_it_was_read() -> None:
    assert json.loads(read().model_dump_json(exclude_none=True)) == CLAIMS


@pytest.mark.parametrize(
    ("uri", "event", "kind"),
    [
        (SESSION_REVOKED, {"event_timestamp": 1.0}, "session-revoked"),
        (
            CREDENTIAL_CHANGE,
            {"event_timestamp": 1.0, "credential_type": "x509", "change_type": "revoke"},
            "credential-change",
        ),
        (
            DEVICE_COMPLIANCE_CHANGE,
            {"event_timestamp": 1.0, "previous_status": "compliant", "current_status": "not-compliant"},
            "device-compliance-change",
        ),
        (VERIFICATION, {"state": "12"}, None),
    ],
)
def test_the_event_is_known_by_its_uri(uri: str, event: dict[str, Any], kind: str | None) -> None:
    assert read(events={uri: event}).events.kind == kind


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1_767_225_900},
        {"sub": "dev-a"},
        {"iat": 1.5},
        {"iat": True},
        {"txn": ""},
        {"sub_id": {"id": "dev-a"}},
        {"sub_id": {"format": "email", "email": "a@b.example"}},
        {"sub_id": {"format": "opaque", "id": "dev-a", "iss": "https://control.example"}},
        {"sub_id": {"format": "jwt_id", "jti": "cap-1"}},
        {"events": {}},
        {"events": {**CLAIMS["events"], VERIFICATION: {"state": "1"}}},
        {"events": {"https://schemas.openid.net/secevent/caep/event-type/token-claims-change": {}}},
        {"events": {SESSION_REVOKED: {}}},
        {"events": {SESSION_REVOKED: {"event_timestamp": "1"}}},
        {"events": {SESSION_REVOKED: {"event_timestamp": 1.0, "reason_admin": {}}}},
        {"events": {SESSION_REVOKED: {"event_timestamp": 1.0, "reason_admin": {"not a language": "x"}}}},
        {"events": {SESSION_REVOKED: {"event_timestamp": 1.0, "initiating_entity": "attacker"}}},
        {"events": {CREDENTIAL_CHANGE: {"event_timestamp": 1.0, "credential_type": "x509"}}},
        {"events": {DEVICE_COMPLIANCE_CHANGE: {"event_timestamp": 1.0, "current_status": "compliant"}}},
        {"events": {VERIFICATION: {"state": "-1"}}},
        {"events": {VERIFICATION: {"state": "007"}}},
    ],
)
def test_what_is_no_event_of_ours_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read(**changes)
