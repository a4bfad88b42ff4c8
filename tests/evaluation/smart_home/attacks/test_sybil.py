import torch
from torch.nn.functional import cosine_similarity

from adapters.screening import Manifest, update_digest
from evaluation.smart_home.attacks import Backdoor, Knowledge, Sybil
from evaluation.smart_home.attacks.vectors import flat
from tests.evaluation.smart_home.attacks.samples import SHARD, updates

ALLIES = dict(zip((3, 7, 9), updates(3, values=4000), strict=True))


def clones(jitter: float) -> list[torch.Tensor]:
    attack = Sybil(Backdoor(target=1, boost=2.0), jitter)
    return [flat(attack.distort(update, Knowledge(device=device, allies=ALLIES))) for device, update in ALLIES.items()]


def test_clones_send_what_the_first_of_them_would() -> None:
    for clone in clones(0.0):
        assert torch.equal(clone, 2.0 * flat(ALLIES[3]))


def test_jitter_sets_the_cosine_to_the_original_and_between_clones() -> None:
    first, second, _ = clones(0.5)
    assert abs(float(cosine_similarity(first, flat(ALLIES[3]), dim=0)) - 1.25**-0.5) < 0.02
    assert abs(float(cosine_similarity(first, second, dim=0)) - 1 / 1.25) < 0.02


def test_no_two_clones_have_the_same_digest() -> None:
    attack = Sybil(Backdoor(target=1), 1e-4)
    manifest = Manifest.of(ALLIES[3])
    sent = [attack.distort(update, Knowledge(device, 1, (), ALLIES)) for device, update in ALLIES.items()]
    assert len({update_digest(update, manifest) for update in sent}) == len(sent)


def test_a_clone_trains_on_what_the_original_does_and_without_others_it_is_the_original() -> None:
    original = Backdoor(target=1, boost=2.0)
    assert Sybil(original).poison(SHARD) == original.poison(SHARD)
    assert torch.equal(flat(Sybil(original, 0.0).distort(ALLIES[7])), 2.0 * flat(ALLIES[7]))
