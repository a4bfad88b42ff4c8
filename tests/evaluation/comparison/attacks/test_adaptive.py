import pytest
import torch
from torch.nn.functional import cosine_similarity

from adapters.screening import Manifest, screen
from controlplane.behavior.scores import scores
from evaluation.comparison.attacks.adaptive import Adaptive, Goal
from evaluation.comparison.attacks.harm import harmful
from evaluation.smart_home.attacks import Knowledge, SignFlip
from evaluation.smart_home.attacks.vectors import flat, stacked
from evaluation.smart_home.training import Update
from tests.evaluation.comparison.defences.cohorts import common, honest, like

HOSTILE = (12, 13, 14)


def trained(turn: int = 2) -> dict[int, Update]:
    """All that was trained in a round; the last three belong to the attacker."""
    return honest(turn, count=15)


def known(device: int = 12, poisoned: bool = False) -> Knowledge:
    every = trained()
    allies = {one: every[one] for one in HOSTILE}
    if poisoned:
        drift = like(0.8, torch.Generator().manual_seed(9))
        allies = {one: {name: value + drift[name] for name, value in update.items()} for one, update in allies.items()}
    others = [update for one, update in every.items() if one not in HOSTILE]
    return Knowledge(device, 2, others, allies, [trained(1)])


def sent(attack: Adaptive, about: Knowledge) -> dict[int, Update]:
    """What all of them send; one object stands for all, and one list for what is honest."""
    return {
        device: attack.distort(update, Knowledge(device, about.turn, about.honest, about.allies, about.history))
        for device, update in about.allies.items()
    }


def scored(hostile: dict[int, Update], about: Knowledge, seed: int) -> tuple[list[float], list[float]]:
    """Scores of the honest and of the hostile under the guard's own projection, with the server's own reference."""
    cohort = {f"h{place}": one for place, one in enumerate(about.honest)}
    cohort |= {f"c{device}": one for device, one in hostile.items()}
    evidence = screen(cohort, Manifest.of(common()), reference=common(), seed=seed)
    found = {name: score.value or 0.0 for name, score in scores(evidence).items()}
    return [found[name] for name in found if name[0] == "h"], [found[name] for name in found if name[0] == "c"]


@pytest.mark.parametrize(("goal", "poisoned"), [("undo", False), ("own", True)])
def test_under_another_projection_too_it_hardly_stands_out_where_a_sign_flip_does(goal: Goal, poisoned: bool) -> None:
    about = known(poisoned=poisoned)
    usual, found = scored(sent(Adaptive(goal), about), about, seed=77)
    _, flipped = scored({one: SignFlip(1.0).distort(update) for one, update in about.allies.items()}, about, seed=77)
    assert max(found) <= max(1.0, max(usual))
    assert min(flipped) > 5.0 * max(found) + 5.0


def test_it_goes_as_far_towards_undoing_as_passes_and_keeps_its_length() -> None:
    attack, about = Adaptive(), known()
    away = harmful(about)
    for device, update in sent(attack, about).items():
        own = flat(about.allies[device]).double()
        assert float(flat(update).norm()) == pytest.approx(float(own.norm()), rel=1e-4)
        assert float(flat(update).double() @ away) > float(own @ away) + 0.05 * float(own.norm())
    assert all(0.0 < reach < 1.0 for reach in attack.found.reach.values())


def test_towards_its_own_training_it_is_on_the_line_from_the_honest_mean() -> None:
    attack, about = Adaptive("own"), known(poisoned=True)
    mean = stacked(about.honest)
    update = flat(sent(attack, about)[13]) - mean.mean(0)
    assert float(cosine_similarity(update, flat(about.allies[13]) - mean.mean(0), dim=0)) == pytest.approx(
        1.0, abs=1e-4
    )
    assert attack.found.reach[13] > 0.0


def test_the_more_cautious_goes_less_far() -> None:
    careful, bold = Adaptive(caution=100.0), Adaptive(caution=1.0)
    about = known()
    sent(careful, about)
    sent(bold, about)
    assert all(reach < bold.found.reach[device] for device, reach in careful.found.reach.items())


def test_colluders_work_the_way_out_once_and_anew_for_each_round() -> None:
    attack, about = Adaptive(steps=1), known()
    sent(attack, about)
    assert attack.found.honest is about.honest
    later = known()
    sent(attack, later)
    assert attack.found.honest is later.honest


def test_without_anybody_to_hide_among_it_is_an_error() -> None:
    with pytest.raises(ValueError, match="needs to know"):
        Adaptive().distort(common())
