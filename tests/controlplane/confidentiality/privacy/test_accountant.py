"""The accountant agrees with the library's own figures, whichever way they are composed."""

import math
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.confidentiality.privacy import Accountant, AccountantMissing
from controlplane.confidentiality.privacy import accountant as module
from controlplane.confidentiality.privacy.accountant import RESERVED, affordable, event_of
from controlplane.contracts.privacy import MAX_EPSILON, Mechanism

pld = pytest.importorskip("dp_accounting.pld", reason="dp-accounting 0.6: pip install 'ztfm[privacy]'")
rdp = pytest.importorskip("dp_accounting.rdp")
events = pytest.importorskip("dp_accounting")

DELTA = 1e-6
USED = DELTA * (1.0 - RESERVED)
"""What is left of it once something is kept back for the grid and the tables."""
LOCAL = Mechanism("local", 16.0, 1.0)
CENTRAL = Mechanism("central", 4.0, 1.0)
DRAWN = Mechanism("central", 4.0, 0.1)


def composed(*mechanisms: Mechanism) -> float:
    """What the library says when it is given one event after the other."""
    accountant = pld.PLDAccountant()
    for mechanism in mechanisms:
        accountant.compose(event_of(mechanism))
    return float(accountant.get_epsilon(USED))


@pytest.mark.parametrize("count", [1, 12])
def test_so_many_events_cost_what_the_library_says_of_them_one_after_the_other(count: int) -> None:
    ours = Accountant().epsilon({LOCAL: count}, DELTA)
    theirs = composed(*[LOCAL] * count)
    # The library rounds to what is worse; the cost of noise that is composed is known exactly.
    assert theirs - 1e-3 <= ours <= theirs


def test_what_is_drawn_costs_what_the_library_says_of_it() -> None:
    assert Accountant().epsilon({DRAWN: 3}, DELTA) == pytest.approx(composed(*[DRAWN] * 3), abs=1e-3)
    several = Accountant().epsilon({DRAWN: 3, CENTRAL: 2, LOCAL: 1}, DELTA)
    assert several == pytest.approx(composed(LOCAL, DRAWN, CENTRAL, DRAWN, CENTRAL, DRAWN), abs=1e-3)


@pytest.mark.parametrize(("mechanism", "count"), [(LOCAL, 20), (CENTRAL, 3), (DRAWN, 10)])
def test_distributions_come_to_the_same_and_moments_are_a_bound_from_above(mechanism: Mechanism, count: int) -> None:
    ours = Accountant().epsilon({mechanism: count}, DELTA)
    assert ours == pytest.approx(composed(*[mechanism] * count), abs=1e-3)
    # Renyi differential privacy, converted, states more than there is, and never less.
    moments = rdp.RdpAccountant()
    moments.compose(event_of(mechanism), count)
    assert ours <= moments.get_epsilon(USED)


@pytest.mark.parametrize(("multiplier", "deviation"), [(1.0, 1024.0), (16.0, 1024.0), (4.0, 1300.5)])
def test_what_is_kept_back_of_delta_pays_for_noise_that_lies_on_a_grid(multiplier: float, deviation: float) -> None:
    epsilon = Accountant().epsilon({Mechanism("local", multiplier, 1.0): 1}, DELTA)
    shift = int(2.0 * deviation / multiplier)
    reach = int(14 * deviation) + 2 * shift

    def weight(value: int) -> float:
        return math.exp(-((value / deviation) ** 2) / 2.0)

    total = math.fsum(map(weight, range(-reach, reach)))
    apart = (max(0.0, weight(x - shift) - math.exp(epsilon) * weight(x)) for x in range(-reach, reach))
    # All of the rest but a hundredth is left to the tables.
    assert math.fsum(apart) / total <= DELTA * (1.0 - 0.99 * RESERVED)


def test_a_device_that_adds_the_noise_itself_hides_twice_the_clip_norm() -> None:
    twice = Accountant().epsilon({Mechanism("local", 8.0, 1.0): 3}, DELTA)
    assert twice == Accountant().epsilon({Mechanism("central", 4.0, 1.0): 3}, DELTA)
    assert twice == pytest.approx(events.get_epsilon_gaussian(4.0 / 3**0.5, USED))


def test_nothing_costs_nothing_and_too_little_noise_is_no_guarantee() -> None:
    accountant = Accountant()
    assert accountant.epsilon({}, DELTA) == accountant.epsilon({LOCAL: 0}, DELTA) == 0.0
    assert accountant.epsilon({Mechanism("local", 1e-5, 1.0): 1}, DELTA) == MAX_EPSILON
    assert accountant.epsilon({Mechanism("local", 1e6, 1.0): 1}, DELTA) == 0.0


@settings(max_examples=12, deadline=None)
@given(
    st.dictionaries(
        st.builds(Mechanism, st.sampled_from(["local", "central"]), st.floats(1.0, 64.0), st.just(1.0)),
        st.integers(1, 50),
        min_size=1,
        max_size=3,
    )
)
def test_one_more_of_anything_never_costs_less(counts: dict[Mechanism, int]) -> None:
    accountant = Accountant()
    before = accountant.epsilon(counts, DELTA)
    for mechanism in counts:
        assert accountant.epsilon({**counts, mechanism: counts[mechanism] + 1}, DELTA) > before


def test_it_remembers_so_much_and_no_more() -> None:
    accountant = Accountant(most=2)
    assert accountant.known({LOCAL: 1}, DELTA) is None
    for count in (1, 2, 3):
        accountant.epsilon({LOCAL: count}, DELTA)
    assert accountant.known({LOCAL: 1}, DELTA) is None
    assert accountant.known({LOCAL: 3}, DELTA) == accountant.epsilon({LOCAL: 3}, DELTA)
    assert accountant.known({LOCAL: 3}, 2 * DELTA) is None


@pytest.fixture
def without_library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "dp_accounting", None)
    module._library.cache_clear()
    yield
    module._library.cache_clear()


@pytest.mark.usefixtures("without_library")
def test_without_the_library_it_says_what_to_install() -> None:
    with pytest.raises(AccountantMissing, match=r"pip install 'ztfm\[privacy\]'"):
        Accountant().epsilon({LOCAL: 1}, DELTA)


@given(st.integers(0, 500), st.integers(1, 400))
@settings(max_examples=50)
def test_so_many_are_affordable_as_fit(limit: int, most: int) -> None:
    assert affordable(lambda count: count <= limit, most) == min(limit, most)
