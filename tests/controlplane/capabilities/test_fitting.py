"""A capability is for one action, one place and one connection, and for nothing that is not stated."""

from typing import Any

import pytest

from controlplane.capabilities.fitting import misplaced, misused, uncertified
from controlplane.contracts.capability import CapabilityClaims
from tests.controlplane.capabilities.conftest import World

WEIGHTS = "sha256:" + "a" * 64


def claims(**constraints: Any) -> CapabilityClaims:
    return World().mint(**constraints)[1]


@pytest.mark.parametrize(
    ("asked", "cause"),
    [
        (("gradient_submission", None, "r1", WEIGHTS), None),
        (("inference", None, "r1", WEIGHTS), "wrong_action"),
        (("gradient_submission", "another", "r1", WEIGHTS), "wrong_resource"),
        (("gradient_submission", None, None, WEIGHTS), "wrong_round"),
        (("gradient_submission", None, "r2", WEIGHTS), "wrong_round"),
        (("gradient_submission", None, "r1", None), "wrong_digest"),
    ],
)
def test_what_is_done_is_what_the_capability_is_for(asked: tuple[Any, ...], cause: str | None) -> None:
    assert misused(claims(round_id="r1", model_digest=WEIGHTS), *asked) == cause


@pytest.mark.parametrize(
    ("handed_out", "cause"),
    [({"head"}, None), (set(), None), ({"head", "body"}, "wrong_shards"), (None, "wrong_shards")],
)
def test_no_more_parts_are_handed_out_than_it_names(handed_out: set[str] | None, cause: str | None) -> None:
    assert misplaced(claims(shards=["head"]), None, handed_out) == cause
    assert misplaced(claims(), None, handed_out) is None


def test_a_certificate_is_the_one_that_it_is_bound_to() -> None:
    bound = claims()
    bound = bound.model_copy(update={"cnf": bound.cnf.model_copy(update={"jkt": None, "x5t": "thumb"})})
    assert [uncertified(bound, shown) for shown in ("thumb", "other", None)] == [
        None,
        "wrong_certificate",
        "certificate_missing",
    ]
