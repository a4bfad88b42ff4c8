from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from pydantic import ValidationError

from controlplane.contracts.identity import Attestation, EnrolmentGrant, EnrolmentRequest, PublicKey, Trust

_KEY = {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "B" * 43}


@pytest.mark.parametrize(
    "change",
    [
        {"d": "A" * 43},
        {"kid": "k"},
        {"kty": "RSA"},
        {"crv": "P-384"},
        {"x": "A" * 42},
        {"y": "B" * 42 + "="},
        {"x": None},
    ],
)
def test_a_public_key_is_exactly_that(change: dict[str, Any]) -> None:
    assert PublicKey.model_validate(_KEY).model_dump() == _KEY
    with pytest.raises(ValidationError):
        PublicKey.model_validate({**_KEY, **change})


@pytest.mark.parametrize("level", ["none", "software", "hardware"])
@pytest.mark.parametrize("verified_at", [None, 0.0, 1_767_225_600.0])
def test_a_level_has_the_time_of_its_appraisal_and_no_level_has_none(level: Any, verified_at: float | None) -> None:
    if (level == "none") == (verified_at is None):
        assert Attestation(level=level, verified_at=verified_at).level == level
    else:
        with pytest.raises(ValidationError, match="appraisal"):
            Attestation(level=level, verified_at=verified_at)


@pytest.mark.parametrize("roles", [[], ["trainer"] * 9, ["Trainer"], [""], "trainer", None, [1]])
def test_roles_are_one_to_eight_labels(roles: Any) -> None:
    for model, rest in ((EnrolmentRequest, {"token": "t"}), (EnrolmentGrant, {"expires_at": 1.0, "uses": 0})):
        with pytest.raises(ValidationError):
            model.model_validate({"roles": roles, "segment": "homes", **rest})


@pytest.mark.parametrize("score", [-0.01, 1.01, True, "1", float("nan")])
def test_trust_is_a_share(score: Any) -> None:
    with pytest.raises(ValidationError):
        Trust(score=score, observations=0)
    assert Trust(score=1, observations=0).score == 1.0


@pytest.mark.parametrize(
    "shown",
    [
        {},
        {"token": "t", "credential": "c~"},
        {"token": "t", "certificates": ["c"]},
        {"credential": "c~", "certificates": ["c"]},
        {"token": None},
        {"credential": "c c"},
        {"credential": ""},
        {"credential": "x" * 16_385},
        {"certificates": []},
        {"certificates": ["c"] * 6},
        {"certificates": ["x" * 8193]},
        {"certificates": "c"},
    ],
)
def test_a_newcomer_shows_exactly_one_thing_and_no_more_than_fits(shown: dict[str, Any]) -> None:
    asked = {"roles": ["trainer"], "segment": "homes"}
    with pytest.raises(ValidationError):
        EnrolmentRequest.model_validate({**asked, **shown})
    assert not Draft202012Validator(EnrolmentRequest.model_json_schema()).is_valid({**asked, **shown})


@pytest.mark.parametrize(
    "shown", [{"token": "t"}, {"credential": "c~", "token": None}, {"certificates": ["c"], "credential": None}]
)
def test_the_schema_of_an_enrolment_says_the_same(shown: dict[str, Any]) -> None:
    asked = {"roles": ["trainer"], "segment": "homes", **shown}
    assert EnrolmentRequest.model_validate(asked)
    assert Draft202012Validator(EnrolmentRequest.model_json_schema()).is_valid(asked)
