"""What is safe, and what is refused."""

import math
import random

import pytest

from adapters.secureaggregation import Tolerance, Unsafe, choose
from adapters.secureaggregation.parameters import failure_bits, privacy_bits


@pytest.mark.parametrize("clients", [3, 4, 6, 8])
def test_few_clients_are_all_neighbours(clients: int) -> None:
    found = choose(clients, Tolerance())
    assert found.neighbours == clients - 1
    assert found.colluding < found.threshold <= clients - 1 - clients // 4


def test_groups_of_any_size_have_parameters() -> None:
    for clients in range(3, 65):
        found = choose(clients, Tolerance())
        assert found.colluding >= 1
        assert found.quorum <= clients - clients // 4


@pytest.mark.parametrize("clients", [100, 1000])
def test_many_clients_have_fewer_neighbours_and_the_chances_that_were_asked_for(clients: int) -> None:
    tolerance = Tolerance(colluding=0.1, dropped=0.2)
    found = choose(clients, tolerance)
    assert found.neighbours < clients * 0.6
    assert found.privacy_bits >= tolerance.privacy_bits
    assert found.failure_bits >= tolerance.failure_bits
    assert found.threshold / found.neighbours > 0.5


def test_colluders_are_a_share_of_those_who_could_be_there_however_few_are() -> None:
    for members in range(3, 40):
        assert choose(members, Tolerance(), members) == choose(members, Tolerance())
        for clients in range(3, members):
            try:
                found = choose(clients, Tolerance(), members)
            except Unsafe:
                continue
            assert found.colluding == max(1, members // 3) < found.threshold
            assert found.quorum - found.colluding >= 2


def test_a_share_is_not_one_less_for_want_of_a_double() -> None:
    assert choose(100, Tolerance(colluding=0.29, dropped=0.1)).colluding == 29


def test_two_sets_of_survivors_cannot_both_be_signed_by_a_quorum_of_honest_clients() -> None:
    for clients in range(4, 200, 7):
        found = choose(clients, Tolerance(colluding=0.3, dropped=0.2))
        assert 2 * (found.quorum - found.colluding) > clients - found.colluding


@pytest.mark.parametrize(
    ("clients", "tolerance"),
    [
        (2, Tolerance()),
        (5000, Tolerance()),
        (100, Tolerance(colluding=0.7)),
        (100, Tolerance(colluding=0.5, dropped=0.3)),
        (3, Tolerance(colluding=0.0, dropped=0.34)),
        (3, Tolerance(colluding=0.7, dropped=0.0)),
    ],
)
def test_what_is_unsafe_is_refused(clients: int, tolerance: Tolerance) -> None:
    with pytest.raises(Unsafe):
        choose(clients, tolerance)


@pytest.mark.parametrize("wrong", [{"colluding": 1.0}, {"dropped": -0.1}, {"privacy_bits": 3}, {"failure_bits": 0}])
def test_a_tolerance_that_nobody_could_mean_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="shares"):
        Tolerance(**wrong)


def holding(others: int, marked: int, picked: int, least: int) -> float:
    found = sum(
        math.comb(marked, held) * math.comb(others - marked, picked - held) for held in range(least, picked + 1)
    )
    return found / math.comb(others, picked)


def test_the_chances_are_those_of_the_hypergeometric_distribution() -> None:
    # Of 30 clients, one that picks 6 is left with fewer than 4 when all 3 that go away are among them.
    assert failure_bits(30, 3, 6, 4) == pytest.approx(-math.log2(30 * holding(29, 3, 6, 3)))
    cut = sum(math.comb(20, size) * holding(23, size - 1 + 4, 16, 12) ** size for size in range(1, 11))
    assert privacy_bits(24, 4, 16, 12) == pytest.approx(-math.log2(cut))


def test_cuts_of_a_graph_are_rarer_than_what_is_reckoned_with() -> None:
    clients, colluding, neighbours, threshold = 9, 2, 4, 3
    reckoned = 2 ** -privacy_bits(clients, colluding, neighbours, threshold)
    picks, tries, cut = random.Random(7), 4000, 0
    honest = range(colluding, clients)
    for _ in range(tries):
        chosen = {
            one: set(picks.sample([other for other in range(clients) if other != one], neighbours)) for one in honest
        }
        # By itself or with one other: each picked the threshold among these and the colluders.
        pairs = [{one, other} for one in honest for other in honest if one <= other]
        cut += any(all(len(chosen[one] & (some | {0, 1})) >= threshold for one in some) for some in pairs)
    assert 0 < cut / tries <= reckoned
