"""A denial is told from its root: what else is missing may only follow from it."""

import json
from itertools import permutations
from pathlib import Path

import pytest

from adapters.reasons import ROOTS, cause_of, rooted, told
from controlplane.contracts.access import AccessReason


def reasons(*codes: str) -> list[AccessReason]:
    return [AccessReason(code=code, message=f"No {code}.", remedy=f"Mend {code}.") for code in codes]


@pytest.mark.parametrize("codes", list(permutations(("attestation_fresh", "resource_known", "role_granted"))))
def test_a_model_that_nobody_registered_is_named_first_with_its_remedy(codes: tuple[str, ...]) -> None:
    said = told(reasons(*codes))
    assert said.startswith("resource_known: No resource_known. Mend resource_known. May follow from it: role_granted, ")
    assert "Mend attestation_fresh" not in said
    assert cause_of(reasons(*codes)) == "resource_known"


def test_without_a_root_every_reason_is_told_whole_and_in_its_order() -> None:
    said = told(reasons("trust_sufficient", "window_open"))
    assert said == "trust_sufficient: No trust_sufficient. Mend trust_sufficient. " + (
        "window_open: No window_open. Mend window_open."
    )
    assert cause_of(reasons("trust_sufficient", "window_open")) == "trust_sufficient"


def test_nothing_is_lost_by_the_order() -> None:
    codes = ["update_aligned", "update_bounded", *ROOTS]
    assert sorted(reason.code for reason in rooted(reasons(*codes))) == sorted(codes)


def test_a_denial_without_reasons_is_one_all_the_same() -> None:
    assert (told([]), cause_of([])) == ("", "denied")


def test_every_root_is_a_reason_that_policies_give() -> None:
    root = Path(__file__).resolve().parents[2]
    given = json.loads((root / "policies" / "data" / "reasons" / "data.json").read_text())
    assert set(ROOTS) <= set(given)
