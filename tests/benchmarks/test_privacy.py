"""The bench that noise is measured on learns without it, and worse with more of it."""

import torch

from benchmarks.privacy import Bench


def bench() -> Bench:
    generator = torch.Generator().manual_seed(0)
    centres = 4.0 * torch.randn(5, 16, generator=generator)

    def drawn(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        labels = torch.randint(5, (count,), generator=generator)
        return centres[labels] + torch.randn(count, 16, generator=generator), labels

    return Bench([drawn(64) for _ in range(4)], drawn(200), 5)


def test_with_few_devices_noise_leaves_a_guess_and_with_many_what_there_was() -> None:
    found, seeds = bench(), range(6)
    assert min(found.accuracy(None, 4, 0.0, seed) for seed in seeds) > 0.95
    # Of five intents a guess hits one in five; a model that is all noise hits no more, seen over many.
    assert sum(found.accuracy("local", 4, 16.0, seed) for seed in seeds) / len(seeds) < 0.3
    assert min(found.accuracy("local", 100_000, 16.0, seed) for seed in seeds) > 0.95
    assert min(found.accuracy("central", 1_000, 4.0, seed) for seed in seeds) > 0.95


def test_noise_of_devices_shrinks_with_the_root_of_their_number_and_an_aggregators_with_the_number() -> None:
    found = bench()
    for devices, noise in ((5, 0.5), (20, 4.0), (100, 16.0)):
        theirs, its = (found.accuracy(*which, noise, 1) for which in (("local", devices**2), ("central", devices)))
        assert theirs == its
    assert found.accuracy("local", 400, 4.0, 1) != found.accuracy("local", 100, 4.0, 1)


def test_the_same_seed_gives_the_same_figure() -> None:
    assert bench().accuracy("central", 20, 1.0, 3) == bench().accuracy("central", 20, 1.0, 3)
