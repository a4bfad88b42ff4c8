"""Islands in processes of their own, with gloo within them: the model is the mean of those that policy lets in."""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.distributed import TCPStore  # type: ignore[attr-defined] # it is public, and not listed as such

from adapters.distributed import Coordinator, Mailboxes
from adapters.guard import Guard, Member
from tests.adapters.distributed import islands
from tests.support import ControlPlane

_PROCESSES = multiprocessing.get_context("forkserver")
_END_SECONDS = 60.0


@pytest.fixture
def store() -> TCPStore:
    return TCPStore(islands.HOST, 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=30))


@pytest.fixture
def folders(plane: ControlPlane, tmp_path: Path) -> list[Path]:
    """Two islands, enrolled."""
    made = [tmp_path / f"island-{number}" for number in range(2)]
    for folder in made:
        with Member.enrol(folder, plane.url, plane.token(("trainer",), "homes")):
            pass
    return made


@contextmanager
def running(*processes: tuple[Callable[..., None], tuple[object, ...]]) -> Iterator[None]:
    _PROCESSES.set_forkserver_preload([islands.__name__])
    with ExitStack() as stack:
        for target, given in processes:
            process = _PROCESSES.Process(target=target, args=given, daemon=True)
            process.start()
            stack.callback(process.join)
            stack.callback(process.kill)
            stack.callback(process.join, _END_SECONDS if given[-1] not in {"hangs", "dies"} else 0.0)
        yield


def state_of() -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in islands.model().state_dict().items()}


def reference(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The update that data of the coordinator's own yields: of two islands neither can be told by the other."""
    return {name: tensor - state[name] for name, tensor in islands.expected(state, 9).items()}


def moved_by(state: Mapping[str, Tensor], *numbers: int) -> dict[str, Tensor]:
    """The mean of what these islands train."""
    trained = [islands.expected(state, number) for number in numbers]
    return {name: torch.stack([one[name] for one in trained]).mean(0) for name in state}


def close(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> bool:
    return all(torch.allclose(found[name], wanted[name].to(found[name].dtype), atol=1e-5) for name in wanted)


@pytest.mark.minutes
def test_two_ranks_train_by_themselves_and_the_model_is_their_mean(
    guard: Guard, store: TCPStore, folders: list[Path]
) -> None:
    coordinator = Coordinator(guard, Mailboxes(store, [0, 1]), training_seconds=60.0, query_seconds=60.0)
    with running(*((islands.island, (folder, at, store.port, "honest")) for at, folder in enumerate(folders))):
        first = coordinator.round(state_of(), reference(state_of()))
        second = coordinator.round(first, reference(first))
        coordinator.end()
    assert close(first, moved_by(state_of(), 0, 1))
    assert close(second, moved_by(first, 0, 1))
    assert [one.accepted for one in guard.report.rounds] == [2, 2]


@pytest.mark.parametrize(("conduct", "cause"), [("flips", "update_aligned"), ("dies", "absent"), ("hangs", "absent")])
def test_a_rank_that_is_refused_or_gone_weighs_nothing_and_the_other_counts_alone(
    guard: Guard, store: TCPStore, folders: list[Path], conduct: str, cause: str
) -> None:
    coordinator = Coordinator(guard, Mailboxes(store, [0, 1]), training_seconds=8.0, query_seconds=60.0)
    with running(
        (islands.island, (folders[0], 0, store.port, "honest")), (islands.island, (folders[1], 1, store.port, conduct))
    ):
        after = coordinator.round(state_of(), reference(state_of()))
        coordinator.end()
    assert close(after, moved_by(state_of(), 0))
    report = guard.latest()
    assert report is not None
    assert report.accepted == 1
    causes = {drop.cause for drop in report.drops} | {
        reason.code for verdict in report.verdicts.values() for reason in verdict.reasons
    }
    assert cause in causes


def test_an_island_of_two_ranks_whose_model_is_sharded_is_one_member(
    guard: Guard, store: TCPStore, folders: list[Path]
) -> None:
    coordinator = Coordinator(guard, Mailboxes(store, [0]), training_seconds=60.0, query_seconds=60.0)
    ranks = [(islands.sharded_rank, (folders[0], 0, store.port, rank, 2)) for rank in range(2)]
    with running(*ranks):
        after = coordinator.round(state_of(), reference(state_of()))
        coordinator.end()
    assert close(after, moved_by(state_of(), 0))
    assert not close(after, state_of())


@pytest.mark.parametrize("island_ranks", [1, 2])
def test_ddp_gives_gradients_to_its_own_island_and_to_no_other(
    store: TCPStore, tmp_path: Path, island_ranks: int
) -> None:
    with running(*((islands.followed, (rank, store.port, str(tmp_path), island_ranks)) for rank in range(2))):
        pass
    together, alone = islands.expected(state_of(), 0, 1), [islands.expected(state_of(), rank) for rank in range(2)]
    assert not close(alone[0], alone[1])
    for rank in range(2):
        assert close(torch.load(tmp_path / f"{rank}.pt"), together if island_ranks == 2 else alone[rank])
