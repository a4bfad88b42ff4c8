"""Every attack that a verdict can name is described, and in the catalogues' own form."""

import re
from typing import get_args

import pytest

from controlplane.behavior.attacks import ATTACKS
from controlplane.contracts.behaviour import Attack

NAMES = get_args(Attack)


def test_every_attack_is_described() -> None:
    assert set(ATTACKS) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_identifiers_have_the_catalogues_form_and_phrases_are_short(name: Attack) -> None:
    known = ATTACKS[name]
    assert known.atlas is None or re.fullmatch(r"AML\.T\d{4}(\.\d{3})?", known.atlas)
    assert known.owasp is None or re.fullmatch(r"LLM(0[1-9]|10):2025", known.owasp)
    assert 0 < len(known.phrase) < 80


def test_what_nobody_knows_has_no_identifier() -> None:
    assert (ATTACKS["unknown"].atlas, ATTACKS["unknown"].owasp) == (None, None)
