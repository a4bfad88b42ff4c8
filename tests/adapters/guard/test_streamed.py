"""Updates that lie in files are ruled on as those in memory are, and none of them is read whole."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from adapters.guard import Guard, Member, Submission
from adapters.pytorch import GuardedRound
from adapters.screening import Streamed, TensorFile, update_digest
from tests.adapters.conftest import update_of

Enrol = Callable[..., Member]
State = dict[str, Tensor]


@pytest.fixture
def stored(state: State, tmp_path: Path) -> Path:
    path = tmp_path / "state.safetensors"
    save_file(state, path)
    return path


def files(state: State, folder: Path, scales: list[float]) -> list[Path]:
    """Write updates, each of another scale."""
    made = [folder / f"{seed}.safetensors" for seed in range(len(scales))]
    for seed, (path, scale) in enumerate(zip(made, scales, strict=True)):
        save_file(update_of(state, seed, scale), path)
    return made


def test_files_are_gated_clipped_and_aggregated_as_tensors_are(
    guard: Guard, enrol: Enrol, state: State, stored: Path, tmp_path: Path
) -> None:
    members = [enrol("trainer") for _ in range(5)]
    sealed = guard.seal(TensorFile(stored), [member.id for member in members])
    assert sealed.manifest.tensors.keys() == {"weight", "bias"}
    assert sealed.terms.model_digest == guard.seal(state, [members[0].id]).terms.model_digest
    sent = files(state, tmp_path, [0.1, 0.1, 0.1, 0.1, 0.16])
    shown = [
        member.submit(sealed.terms, update_digest(path, sealed.manifest))
        for member, path in zip(members, sent, strict=True)
    ]
    gated = guard.gate(sealed, [Submission(m.id, f, 10, c) for m, f, c in zip(members, sent, shown, strict=True)])
    assert [ruling.cause for ruling in gated.rulings] == [""] * 5
    assert all(isinstance(ruling.update, Streamed) for ruling in gated.rulings)
    large = gated.rulings[4]
    assert large.scale < 1.0
    scales = [1.0, 1.0, 1.0, 1.0, large.scale]
    mean = gated.mean()
    assert mean is not None
    for name, tensor in mean.items():
        expected = sum(scale * TensorFile(path)[name] for scale, path in zip(scales, sent, strict=True)) / 5
        torch.testing.assert_close(tensor, expected)


def test_a_file_that_was_replaced_after_its_proof_is_refused(
    guard: Guard, enrol: Enrol, state: State, tmp_path: Path
) -> None:
    members = [enrol("trainer") for _ in range(5)]
    sealed = guard.seal(state, [member.id for member in members])
    sent = files(state, tmp_path, [0.1] * 5)
    shown = [
        member.submit(sealed.terms, update_digest(path, sealed.manifest))
        for member, path in zip(members, sent, strict=True)
    ]
    save_file(update_of(state, 77), sent[0])
    gated = guard.gate(sealed, [Submission(m.id, f, 10, c) for m, f, c in zip(members, sent, shown, strict=True)])
    assert [ruling.cause for ruling in gated.rulings] == ["wrong_digest", "", "", "", ""]


def test_a_loop_takes_a_state_and_updates_that_stay_on_the_disk(
    guard: Guard, enrol: Enrol, state: State, stored: Path, tmp_path: Path
) -> None:
    members = [enrol("trainer") for _ in range(4)]
    with GuardedRound(guard, TensorFile(stored), members) as round_:
        assert isinstance(round_.state, TensorFile)
        for member, path in zip(round_.allowed(), files(state, tmp_path, [0.1] * 4), strict=True):
            round_.submit(member, path, 10)
        after = round_.aggregate()
    moved = torch.stack([update_of(state, seed)["weight"] for seed in range(4)]).mean(0)
    torch.testing.assert_close(after["weight"], state["weight"] + moved)
    assert int(after["steps"]) == 3
