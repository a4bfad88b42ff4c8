"""Devices and aggregators do what a decision obliges them to, in real rounds at a real control plane."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from adapters.credentials import RoundTerms
from adapters.errors import NoiseOwed, Unavailable
from adapters.guard import Guard, Member
from adapters.noising import require_noised, terms_of
from adapters.privacy import Noise, clip_and_noise, noised_file
from adapters.pytorch import GuardedRound
from adapters.screening import Manifest, update_digest
from controlplane.contracts.privacy import Account, PrivacyTerms
from tests.adapters.conftest import AUDIENCE, update_of
from tests.controlplane.api.noising import DATA_SET, noising
from tests.support import MODEL, SEGMENTS, ControlPlane, running

pytest.importorskip("dp_accounting.pld", reason="dp-accounting 0.6: pip install 'ztfm[privacy]'")

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    # Little noise, so that a small model moves: what it costs is another matter.
    policies = noising(tmp_path_factory.mktemp("local"), epsilon=1e6, noise_multiplier=0.5, clip_norm=0.1)
    with running(policies=policies) as plane:
        yield plane


@pytest.fixture(scope="module")
def central(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    policies = noising(
        tmp_path_factory.mktemp("central"), epsilon=1e6, mode="central", noise_multiplier=0.5, clip_norm=0.1
    )
    with running(policies=policies) as plane:
        yield plane


@pytest.fixture
def enrol_at(tmp_path: Path) -> Iterator[Callable[..., Member]]:
    numbers = count()
    with ExitStack() as stack:

        def enrolled(plane: ControlPlane, role: str = "trainer") -> Member:
            folder = tmp_path / f"party-{next(numbers)}"
            token = plane.token((role,), SEGMENTS[role])
            member = Member.enrol(folder, plane.url, token, roles=(role,), segment=SEGMENTS[role])
            return stack.enter_context(member)

        yield enrolled


def guard_of(plane: ControlPlane, enrol_at: Callable[..., Member]) -> Guard:
    return Guard(enrol_at(plane, "aggregator").plane, audience=AUDIENCE, model=MODEL, patience_seconds=0.5)


def wide_state() -> State:
    return {"weight": torch.ones(64, 32), "bias": torch.zeros(64)}


def test_devices_clip_and_noise_before_anything_leaves_them(
    local: ControlPlane, enrol_at: Callable[..., Member]
) -> None:
    guard, members, state = guard_of(local, enrol_at), [enrol_at(local) for _ in range(5)], wide_state()
    with GuardedRound(guard, state, members) as guarded:
        for number, member in enumerate(guarded.allowed()):
            guarded.submit(member, update_of(state, number), 10)
        after = guarded.aggregate()
    assert guarded.gated is not None
    rulings = guarded.gated.rulings
    assert [ruling.cause for ruling in rulings] == [""] * 5
    sizes = [ruling.evidence.norm for ruling in rulings if ruling.evidence is not None]
    # 0.05 in each of 2112 values, and what was clipped to.
    assert sizes == pytest.approx([((0.05**2 * 2112) + 0.1**2) ** 0.5] * 5, rel=0.1)
    assert not torch.equal(after["weight"], state["weight"])
    spent = local.run(local.store.privacy.spent(Account("devices", members[0].id, DATA_SET)))
    assert spent.charges == 1


def test_an_update_without_its_noise_is_not_signed(local: ControlPlane, enrol_at: Callable[..., Member]) -> None:
    guard, member, state = guard_of(local, enrol_at), enrol_at(local), wide_state()
    sealed = guard.seal(state, [member.id])
    update = update_of(state, 1)
    digest = update_digest(update, sealed.manifest)
    with pytest.raises(NoiseOwed):
        member.submit(sealed.terms, digest)
    seen: list[PrivacyTerms] = []

    def noise(asked: PrivacyTerms) -> str:
        seen.append(asked)
        return update_digest(clip_and_noise(update, asked), sealed.manifest)

    shown = member.release(sealed.terms, digest, noise)
    assert seen == [terms_of(shown.capability)]
    # What was noised may be shown once more, and only by the same terms.
    member.submit_again(sealed.terms, digest, seen[0])
    with pytest.raises(NoiseOwed):
        member.submit_again(sealed.terms, digest, seen[0].model_copy(update={"noise_multiplier": 0.1}))


def test_a_device_that_adds_no_noise_is_found_by_its_norm(local: ControlPlane, enrol_at: Callable[..., Member]) -> None:
    class Cheating(Member):
        """A device that signs as if it had added noise."""

        def release(self, terms: RoundTerms, digest: str, noise: object) -> object:  # type: ignore[override]
            token = self._granted(terms, digest, is_masked=False)
            return self._prove("SUBMIT", terms, token, digest)

    guard, state = guard_of(local, enrol_at), wide_state()
    members = [enrol_at(local) for _ in range(5)]
    members[0].__class__ = Cheating
    with GuardedRound(guard, state, members) as guarded:
        for number, member in enumerate(guarded.allowed()):
            guarded.submit(member, {n: 0.01 * u for n, u in update_of(state, number).items()}, 10)
        guarded.aggregate()
    assert guarded.gated is not None
    first = guarded.gated.rulings[0]
    assert first.verdict is not None
    assert "update_noised" in {reason.code for reason in first.verdict.reasons}
    assert all(ruling.accepted for ruling in guarded.gated.rulings[1:])


def test_the_aggregator_adds_the_noise_that_its_round_was_charged_for(
    central: ControlPlane, enrol_at: Callable[..., Member]
) -> None:
    guard, members, state = guard_of(central, enrol_at), [enrol_at(central) for _ in range(5)], wide_state()
    with GuardedRound(guard, state, members) as guarded:
        for member in guarded.allowed():
            # One and the same update would be a duplicate: these differ, and hardly.
            update = update_of(state, members.index(member), scale=0.001)
            guarded.submit(member, update, 10)
        after = guarded.aggregate()
    assert guarded.gated is not None
    assert [ruling.cause for ruling in guarded.gated.rulings] == [""] * 5
    moved = (after["weight"] - state["weight"]).flatten()
    # 0.05 in each value of the sum, over five.
    assert float(moved.std()) == pytest.approx(0.01, rel=0.15)


def test_a_backend_that_adds_no_noise_opens_no_such_round(
    central: ControlPlane, enrol_at: Callable[..., Member]
) -> None:
    guard, member = guard_of(central, enrol_at), enrol_at(central)
    with pytest.raises(NoiseOwed):
        guard.seal(wide_state(), [member.id])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_a_file_is_noised_as_its_tensors_are(tmp_path: Path, dtype: torch.dtype) -> None:
    update = {"w": torch.linspace(-1, 1, 96).reshape(8, 12).to(dtype), "b": torch.ones(5, dtype=dtype)}
    source, target = tmp_path / "update.safetensors", tmp_path / "noised.safetensors"
    save_file(update, source)
    asked = PrivacyTerms(mode="local", data_set="homes", clip_norm=1.0, noise_multiplier=2.0, delta=1e-6)
    noised_file(source, target, asked, Noise.of_test(1))
    expected = clip_and_noise(update, asked, Noise.of_test(1))
    found = load_file(target)
    for name, value in found.items():
        assert value.dtype == dtype
        assert torch.equal(value, expected[name])  # type: ignore[arg-type]
    assert Manifest.of(found) == Manifest.of(update)


def test_a_capability_that_cannot_be_read_may_ask_for_anything() -> None:
    for token in ("", "a.b", "a.b.c", "e30.e30.c2ln"):
        with pytest.raises(Unavailable):
            require_noised(token, None)
