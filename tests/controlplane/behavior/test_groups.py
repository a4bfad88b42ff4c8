"""What a group's sum says of each of its members."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.behavior.betting import after, e_value, value
from controlplane.behavior.conformal import Peer
from controlplane.behavior.groups import companies, company, shared
from controlplane.behavior.judge import Judge, Judged, Known
from controlplane.contracts.behaviour import BehaviourRecord, Wealth
from tests.controlplane.behavior.cohorts import TERMS, evidence, homes

SIZE = 4
TOO_MUCH = 50.0


@pytest.mark.parametrize(
    ("members", "size", "share", "chance"),
    [(40, 1, 0.1, 0.0), (10, 2, 0.1, 1 / 9), (10, 3, 0.0, 1 - (8 / 9) * (7 / 8)), (4, 4, 0.5, 1.0), (3, 3, 1.0, 1.0)],
)
def test_the_chance_of_hostile_company_is_that_of_drawing_one(
    members: int, size: int, share: float, chance: float
) -> None:
    assert company(members, size, share) == pytest.approx(chance)


def test_members_of_larger_groups_have_more_company() -> None:
    groups = {f"dev-{number}": "a" if number < 6 else f"b{number % 2}" for number in range(14)}
    found = companies(groups, 0.1)
    assert found["dev-0"] > found["dev-7"] == company(14, 4, 0.1)


@settings(max_examples=50, deadline=None)
@given(st.integers(3, 60), st.integers(1, 12), st.floats(0.0, 0.5), st.floats(0.05, 0.95))
def test_a_bet_on_an_honest_member_is_fair_at_worst(members: int, size: int, share: float, stake: float) -> None:
    chance = company(members, min(size, members), share)
    levels = [0.005, 0.02, 0.05]
    # Alone, the p-value is uniform; in company it is as small as the others can make it.
    alone = sum(
        (upper - lower) * e_value(upper, levels, stake, chance)
        for lower, upper in ((0.0, 0.005), (0.005, 0.02), (0.02, 0.05), (0.05, 1.0))
    )
    assert (1.0 - chance) * alone + chance * e_value(1e-9, levels, stake, chance) <= 1.0 + 1e-9


def test_company_makes_evidence_weaker_and_never_stronger() -> None:
    grown = [value(after(Wealth(), 0.001, TERMS, chance)) for chance in (0.0, 0.1, 0.5, 1.0)]
    assert grown == sorted(grown, reverse=True)
    assert grown[-1] == pytest.approx(1.0)
    assert shared(0.01, 0.0) == 0.01 < shared(0.01, 0.3) < shared(0.01, 1.0) == 1.0


def play(rounds: int, liars: set[str], seed: int, only_beside: str = "") -> dict[str, int]:
    """Return after how many rounds each member that was set apart was."""
    judge, noise = Judge(TERMS), random.Random(seed)
    members = [f"dev-{number}" for number in range(24)]
    records: dict[str, BehaviourRecord] = {}
    pool: list[Peer] = []
    apart: dict[str, int] = {}
    for number in range(1, rounds + 1):
        present = [name for name in members if name not in apart]
        noise.shuffle(present)
        of = {name: f"group-{place // SIZE}" for place, name in enumerate(present)}
        sums = dict(
            zip(sorted(set(of.values())), homes(len(set(of.values())), noise.randrange(2**32)).values(), strict=True)
        )
        for liar in liars & of.keys():
            if not only_beside or of[liar] == of.get(only_beside):
                sums[of[liar]] = evidence(cosine=-0.9, sign_agreement=0.1, norm_ratio=6.0)
        known = {name: Known(records.get(name), "homes") for name in present}
        judged = judge.sums({name: sums[of[name]] for name in present}, of, known, pool[-60:], float(number))
        pool += kept(judged)
        records |= {name: one.record for name, one in judged.items()}
        apart |= {name: number for name, one in judged.items() if one.e_value >= TOO_MUCH}
    return apart


def kept(judged: dict[str, Judged]) -> list[Peer]:
    return [Peer(name, one.score) for name, one in judged.items() if one.score is not None]


def test_a_liar_is_singled_out_and_whoever_was_beside_it_is_not() -> None:
    for seed in range(4):
        apart = play(14, {"dev-3"}, seed)
        assert apart.keys() == {"dev-3"}
        assert apart["dev-3"] <= 12


def test_several_liars_do_not_make_each_other_look_usual() -> None:
    for seed in range(3):
        apart = play(16, {"dev-3", "dev-11"}, seed)
        assert apart.keys() == {"dev-3", "dev-11"}


def test_nobody_is_set_apart_by_a_liar_that_lies_beside_it_alone() -> None:
    assert [play(40, {"dev-3"}, seed, only_beside="dev-9").get("dev-9") for seed in range(4)] == [None] * 4


def test_the_score_of_a_sum_is_kept_once() -> None:
    cohort = homes(5)
    of = {f"dev-{number}": f"home-{number // SIZE}" for number in range(5 * SIZE)}
    told = {name: cohort[group] for name, group in of.items()}
    judged = Judge(TERMS).sums(told, of, {name: Known(None, "homes") for name in of}, [], 1.0)
    assert len(kept(judged)) == 5
    assert {one.peers for one in judged.values()} == {"groups"}
    assert all(one.admission_p_value is not None for one in judged.values())


def test_who_goes_away_makes_hostile_company_no_less_likely() -> None:
    drawn = {f"dev-{number}": f"home-{number // SIZE}" for number in range(6 * SIZE)}
    left = {name: group for name, group in drawn.items() if name in {f"dev-{SIZE * group}" for group in range(6)}}
    liar = evidence(cosine=-0.9, sign_agreement=0.1, norm_ratio=6.0)
    told = {name: liar if group == "home-2" else homes(6)[group] for name, group in left.items()}
    known = {name: Known(None, "homes") for name in told}
    seen, drawn_alone = (Judge(TERMS).sums(told, groups, known, [], 1.0)["dev-8"] for groups in (drawn, left))
    assert seen.admission_p_value == drawn_alone.admission_p_value
    assert 1.0 <= seen.e_value < drawn_alone.e_value


def test_too_few_groups_are_not_compared() -> None:
    of = {f"dev-{number}": f"home-{number // SIZE}" for number in range(3 * SIZE)}
    told = {name: homes(3)[group] for name, group in of.items()}
    judged = Judge(TERMS).sums(told, of, {name: Known(None, "homes") for name in of}, [], 1.0)
    assert {one.p_value for one in judged.values()} == {None}


def test_terms_without_a_share_reckon_with_a_tenth() -> None:
    assert TERMS.hostile_share == 0.1
