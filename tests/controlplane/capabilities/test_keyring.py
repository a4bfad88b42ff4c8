import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.capabilities.errors import NoSigningKey
from controlplane.capabilities.keyring import RETIRED_SECONDS, STALE_SECONDS, VERIFYING, KeyRing, stand
from controlplane.contracts.keys import KeptKey
from controlplane.jose.keys import SigningKey
from tests.clocks import Clock

START = 1_767_225_600.0
KEYS = [SigningKey.generate() for _ in range(6)]
OPENED = {key.kid: key for key in KEYS}


def kept(number: int, signs_from: float, withdrawn_at: float | None = None) -> KeptKey:
    key = KEYS[number]
    return KeptKey(key.kid, key.public.x, key.public.y, b"sealed", START, START + signs_from, withdrawn_at)


def states(keys: Sequence[KeptKey], seconds: float) -> dict[str, str]:
    found = {item.kid: item.state for item in stand(keys, START + seconds)}
    return {str(number): found[key.kid] for number, key in enumerate(KEYS) if key.kid in found}


def test_a_key_is_published_signs_retires_and_is_gone() -> None:
    keys = [kept(0, 0), kept(1, 1000)]
    assert states(keys, 999.9) == {"0": "signing", "1": "published"}
    assert states(keys, 1000) == {"0": "retired", "1": "signing"}
    assert states(keys, 1000 + RETIRED_SECONDS - 0.1) == {"0": "retired", "1": "signing"}
    assert states(keys, 1000 + RETIRED_SECONDS) == {"0": "gone", "1": "signing"}


def test_a_retired_key_outlives_what_it_signed_by_more_than_clocks_differ() -> None:
    assert RETIRED_SECONDS >= 300 + 60


def test_a_key_that_waits_and_is_withdrawn_never_has_its_turn() -> None:
    keys = [kept(0, 0), kept(1, 1000, START + 500)]
    assert states(keys, 500) == states(keys, 5000) == {"0": "signing", "1": "withdrawn"}


def test_when_the_key_that_signs_is_withdrawn_an_earlier_one_does_not_sign_again() -> None:
    keys = [kept(0, 0), kept(1, 1000, START + 1200)]
    assert states(keys, 1200) == {"0": "retired", "1": "withdrawn"}


def test_when_the_key_that_signs_is_withdrawn_the_next_signs_ahead_of_its_time() -> None:
    keys = [kept(0, 0), kept(1, 1000, START + 1200), kept(2, 1201)]
    assert states(keys, 1200) == {"0": "retired", "1": "withdrawn", "2": "signing"}


def test_a_clock_that_stepped_back_behind_the_first_key_lets_it_sign() -> None:
    assert states([kept(0, 0)], -5) == {"0": "signing"}


_spans = st.floats(min_value=-3000, max_value=3000, allow_nan=False)
_rings = st.lists(st.tuples(_spans, st.none() | _spans), max_size=len(KEYS)).map(
    lambda found: [
        kept(number, begins, None if ends is None else START + ends) for number, (begins, ends) in enumerate(found)
    ]
)


@given(_rings, _spans)
def test_at_most_one_key_signs_and_never_one_that_was_withdrawn(keys: list[KeptKey], seconds: float) -> None:
    found = stand(keys, START + seconds)
    assert sum(item.state == "signing" for item in found) <= 1
    assert all((item.state == "withdrawn") == (item.withdrawn_at is not None) for item in found)
    assert {item.kid for item in found} == {key.kid for key in keys}


@given(_rings, _spans)
def test_some_key_signs_unless_the_last_to_begin_was_withdrawn_and_none_waits(
    keys: list[KeptKey], seconds: float
) -> None:
    now = START + seconds
    turns = [key for key in keys if key.withdrawn_at is None or key.withdrawn_at > key.signs_from]
    begun = sorted(
        (key for key in turns if key.signs_from <= now), key=lambda key: (key.signs_from, key.created_at, key.kid)
    )
    waits = any(key.signs_from > now and key.withdrawn_at is None for key in keys)
    signs = any(item.state == "signing" for item in stand(keys, now))
    assert signs == (waits or (begun != [] and begun[-1].withdrawn_at is None))


@given(_rings, st.lists(_spans, max_size=8))
def test_what_the_ring_remembers_is_what_holds_now_whichever_way_the_clock_goes(
    keys: list[KeptKey], steps: list[float]
) -> None:
    clock = Clock()
    ring = KeyRing(clock, lambda: 0.0)
    ring.load(keys, OPENED)
    for step in steps:
        clock.now = START + step
        assert list(ring.standings()) == stand(keys, clock.now)
        assert [key.kid for key in ring.verifying()] == [
            item.kid for item in stand(keys, clock.now) if item.state in VERIFYING
        ]


def test_a_ring_that_nobody_loaded_signs_nothing() -> None:
    ring = KeyRing(Clock())
    assert ring.verifying() == ()
    assert ring.standings() == ()
    assert ring.age_seconds == math.inf
    with pytest.raises(NoSigningKey):
        ring.current()


def test_a_key_that_did_not_open_neither_signs_nor_verifies() -> None:
    ring = KeyRing(Clock())
    ring.load([kept(0, -1000), kept(1, -10)], {KEYS[0].kid: KEYS[0]})
    assert [key.kid for key in ring.verifying()] == [KEYS[0].kid]
    with pytest.raises(NoSigningKey, match="ztfm keys list"):
        ring.current()


def test_a_ring_that_was_not_read_for_too_long_signs_nothing_until_it_is_read_again() -> None:
    timer = Clock()
    ring = KeyRing(Clock(), timer)
    ring.load([kept(0, -1)], OPENED)
    timer.now += STALE_SECONDS
    assert ring.current() is KEYS[0]
    timer.now += 0.1
    with pytest.raises(NoSigningKey, match="could not be read"):
        ring.current()
    assert ring.verifying() == (KEYS[0],)
    ring.load([kept(0, -1)], OPENED)
    assert ring.current() is KEYS[0]


def test_the_next_key_takes_over_at_its_time_without_being_loaded_again() -> None:
    clock = Clock()
    ring = KeyRing(clock, lambda: 0.0)
    ring.load([kept(0, -1), kept(1, 120)], OPENED)
    clock.now = START + 119.999
    assert ring.current() is KEYS[0]
    clock.now = START + 120
    assert ring.current() is KEYS[1]


def test_the_sealed_part_is_in_no_text_form() -> None:
    assert "sealed" not in repr(replace(kept(0, 0), sealed=b"sealed-secret"))
