"""A nonce holds for one to two minutes, at the process that issued it, and nobody can guess one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.capabilities.nonces import SLOT_SECONDS, Nonces
from tests.clocks import Clock
from tests.controlplane.capabilities.conftest import START


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def nonces(clock: Clock) -> Nonces:
    return Nonces(clock)


@pytest.mark.parametrize("issued_after", [0.0, 0.5, 30.0, 59.9])
@pytest.mark.parametrize(("later", "cause"), [(0.0, None), (60.0, None), (120.0, "proof_stale_nonce")])
def test_it_holds_for_at_least_one_minute_and_at_most_two(
    clock: Clock, nonces: Nonces, issued_after: float, later: float, cause: str | None
) -> None:
    clock.now = START - START % SLOT_SECONDS + issued_after
    nonce = nonces.current()
    clock.now += later
    assert nonces.examine(nonce) == cause


def test_a_clock_that_steps_back_makes_no_nonce_of_the_future_good(clock: Clock, nonces: Nonces) -> None:
    nonce = nonces.current()
    clock.now -= 600
    assert nonces.examine(nonce) == "proof_stale_nonce"


def test_a_proof_without_one_is_told_apart(nonces: Nonces) -> None:
    assert nonces.examine(None) == "proof_nonce_missing"


def test_another_process_s_is_told_apart(clock: Clock, nonces: Nonces) -> None:
    assert nonces.examine(Nonces(clock).current()) == "proof_foreign_nonce"


def test_it_is_new_every_minute_and_no_other_changes_it(clock: Clock, nonces: Nonces) -> None:
    first = nonces.current()
    assert nonces.current() == first
    clock.now += SLOT_SECONDS
    assert nonces.current() != first


def test_its_text_says_nothing_of_the_key(nonces: Nonces) -> None:
    assert nonces._key not in nonces.current().encode()
    assert len(nonces.current()) < 64


@pytest.mark.parametrize("place", range(0, 40, 3))
def test_an_altered_one_does_not_hold(nonces: Nonces, place: int) -> None:
    nonce = nonces.current()
    place = min(place, len(nonce) - 1)
    altered = nonce[:place] + ("A" if nonce[place] != "A" else "B") + nonce[place + 1 :]
    assert nonces.examine(altered) in {"proof_wrong_nonce", "proof_foreign_nonce"}


@given(st.one_of(st.text(max_size=80), st.integers(), st.booleans(), st.lists(st.text()), st.floats()))
def test_whatever_else_is_presented_does_not_hold(presented: object) -> None:
    assert Nonces(Clock()).examine(presented) in {"proof_wrong_nonce", "proof_foreign_nonce"}
