import pytest
import torch

from controlplane.behavior.attacks import ATTACKS as NAMED
from evaluation.comparison.attacks import ATTACKS, Setting
from evaluation.smart_home.attacks import Knowledge
from evaluation.smart_home.attacks.vectors import flat
from evaluation.trust.scenarios import SCENARIOS
from tests.evaluation.comparison.defences.cohorts import honest
from tests.evaluation.smart_home.attacks.samples import SHARD

SETTING = Setting(hostile=(2, 5, 7), classes=3, target=1, seed=4)
WANTED = (
    "none label_flip sign_flip inner_product little_is_enough min_max jittered_collusion backdoor boosted_backdoor "
    "sybil replay free_rider on_and_off_sign_flip graph_imitation mimicry adaptive"
)


def test_whatever_is_to_be_compared_is_there_and_so_is_all_that_trust_was_measured_against() -> None:
    assert ATTACKS.keys() >= set(WANTED.split()) | {scenario.name for scenario in SCENARIOS}
    for scenario in SCENARIOS:
        scheme = ATTACKS[scenario.name]
        assert (scheme.title, scheme.named, scheme.onset, scheme.is_backdoor) == (
            scenario.title,
            scenario.named,
            scenario.onset,
            scenario.is_backdoor,
        )


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_each_hostile_device_has_an_attack_whose_updates_are_of_the_models_form_and_finite(name: str) -> None:
    updates = honest(2)
    hostile = {device: updates[device] for device in SETTING.hostile}
    others = [update for device, update in updates.items() if device not in hostile]
    attacks = ATTACKS[name].made(SETTING)
    assert set(attacks) == (set() if name == "none" else set(SETTING.hostile))
    for device, attack in attacks.items():
        before = flat(hostile[device]).clone()
        sent = attack.distort(hostile[device], Knowledge(device, 2, others, hostile, [honest(1)]))
        assert {key: value.shape for key, value in sent.items()} == {k: v.shape for k, v in updates[0].items()}
        assert all(value.dtype == torch.float32 for value in sent.values())
        assert bool(flat(sent).isfinite().all())
        assert torch.equal(flat(hostile[device]), before)


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_what_a_scheme_says_of_itself_is_so(name: str) -> None:
    scheme = ATTACKS[name]
    assert scheme.name == name
    assert set(scheme.named) <= NAMED.keys()
    assert bool(scheme.named) == (name != "none")
    assert scheme.is_backdoor == (scheme.data == "triggered")
    assert scheme.acts(scheme.onset)
    assert not any(scheme.acts(turn) for turn in range(1, scheme.onset))


@pytest.mark.parametrize("name", sorted(set(ATTACKS) - {"none"}))
def test_a_home_trains_on_what_the_scheme_says(name: str) -> None:
    poisoned = ATTACKS[name].made(SETTING)[2].poison(SHARD)
    label_of = {sentence.text: sentence.label for sentence in SHARD}
    kinds = {
        "own": list(poisoned) == SHARD,
        "flipped": all(label_of[one.text] == (one.label - 1) % 3 for one in poisoned) if len(poisoned) == 3 else False,
        "triggered": len(poisoned) > len(SHARD) and {one.label for one in poisoned[len(SHARD) :]} == {SETTING.target},
    }
    assert [kind for kind, holds in kinds.items() if holds] == [ATTACKS[name].data]
