"""The archive: what is kept, for how long, and what a model is without some of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.rollback import (
    Aggregated,
    Answer,
    ArchiveDamaged,
    ArchiveError,
    ArchiveInUse,
    DeltaArchive,
    Recipe,
    Stopped,
    TooLarge,
    verify,
)
from controlplane.jose.keys import DeviceKey
from tests.adapters.rollback.rounds import KEY, MODEL, asked, digest, equal, filled, round_of, start, without

ROUNDS = {"r1": ["a", "b", "c"], "r2": ["a", "b", "x"], "r3": ["b", "c"], "r4": ["x", "a", "c"], "r5": ["c", "b"]}


def opened(folder: Path, **options: object) -> DeltaArchive:
    return DeltaArchive(folder, KEY, **options)  # type: ignore[arg-type]


def test_a_model_is_rebuilt_bit_for_bit_as_if_a_subject_had_never_contributed(tmp_path: Path) -> None:
    done = filled(tmp_path, ROUNDS)
    with opened(tmp_path) as archive:
        rebuilt = archive.rebuild(asked(["x"], "r1", order="rb-1"))
        assert rebuilt is not None
        assert equal(rebuilt.state, without(done, ["x"], "r1"))
        record = archive.accept(rebuilt)
    assert [one.round_id for one in record.replayed] == ["r2", "r3", "r4", "r5"]
    assert record.answers == [Answer(without=["x"], since="r1", order="rb-1", left_out=2)]
    assert record.dropped == []
    assert record.weights_before == digest(done["r5"].after)
    with opened(tmp_path) as archive:
        assert archive.executed("rb-1", "r1") == record
        assert archive.verify().holds


def test_what_came_before_the_asked_round_stays(tmp_path: Path) -> None:
    done = filled(tmp_path, ROUNDS)
    with opened(tmp_path) as archive:
        rebuilt = archive.rebuild(asked(["x", "a"], "r3"))
        assert rebuilt is not None
        assert equal(rebuilt.state, without(done, ["x", "a"], "r3"))
        assert [one.round_id for one in rebuilt.record.replayed] == ["r4", "r5"]


def test_several_are_left_out_in_one_go_each_from_its_own_round_on(tmp_path: Path) -> None:
    done = filled(tmp_path, ROUNDS)
    with opened(tmp_path) as archive:
        rebuilt = archive.rebuild(asked(["x"], "r1", "rb-1"), asked(["a"], "r4", "rb-2"), asked(["q"], "r1", "rb-3"))
        assert rebuilt is not None
        assert equal(rebuilt.state, _expected(done, [({"x"}, 0), ({"a"}, 3)]))
        assert [one.left_out for one in rebuilt.record.answers] == [2, 1, 0]
        archive.accept(rebuilt)
        assert archive.executed("rb-2", "r4") == archive.executed("rb-3", "r1") == rebuilt.record
        assert archive.executed("rb-4", "r1") is None


def test_who_contributed_nothing_leaves_nothing_to_rebuild(tmp_path: Path) -> None:
    filled(tmp_path, ROUNDS)
    with opened(tmp_path) as archive:
        assert archive.rebuild(asked(["stranger"], "r1")) is None
        assert archive.rebuild(asked(["x"], "r5")) is None


def test_a_round_of_nobody_else_leaves_the_weights_as_they_were(tmp_path: Path) -> None:
    done = filled(tmp_path, {"r1": ["a", "b"], "r2": ["x"], "r3": ["a"]})
    with opened(tmp_path) as archive:
        rebuilt = archive.rebuild(asked(["x"], "r1"))
        assert rebuilt is not None
        assert equal(rebuilt.state, without(done, ["x"], "r1"))


def test_a_second_rollback_keeps_out_who_was_left_out_before(tmp_path: Path) -> None:
    done = filled(tmp_path, ROUNDS)
    with opened(tmp_path) as archive:
        first = archive.rebuild(asked(["x"], "r1"))
        assert first is not None
        archive.accept(first)
        done["r6"] = round_of("r6", first.state, ["a", "b", "c"], Recipe())
        archive.record(done["r6"])
        second = archive.rebuild(asked(["a"], "r4"))
        assert second is not None
        archive.accept(second)
        state = without({name: done[name] for name in list(ROUNDS)[:3]}, ["x"], "r1")
        rest = {name: done[name] for name in ("r4", "r5", "r6")}
        rest["r4"] = Aggregated("r4", MODEL, state, done["r4"].after, done["r4"].updates)
        assert equal(second.state, without(rest, ["x", "a"], "r4"))
        assert archive.verify().holds
        assert archive.rebuild(asked(["x", "a"], "r4")) is None


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rounds=st.lists(st.lists(st.sampled_from("abcdx"), min_size=1, max_size=5, unique=True), min_size=1, max_size=7),
    first=st.tuples(st.sets(st.sampled_from("abx"), min_size=1), st.integers(0, 6)),
    second=st.tuples(st.sets(st.sampled_from("abx"), min_size=1), st.integers(0, 6)),
)
def test_whatever_is_rolled_back_the_archive_verifies_and_the_model_is_the_one_without_it(
    tmp_path_factory: pytest.TempPathFactory,
    rounds: Sequence[Sequence[str]],
    first: tuple[set[str], int],
    second: tuple[set[str], int],
) -> None:
    folder = tmp_path_factory.mktemp("archive")
    done = filled(folder, {f"r{number}": subjects for number, subjects in enumerate(rounds)})
    gone: list[tuple[set[str], int]] = []
    with opened(folder) as archive:
        for subjects, since in (first, second):
            since %= len(rounds)
            rebuilt = archive.rebuild(asked(sorted(subjects), f"r{since}"))
            gone.append((subjects, since))
            expected = _expected(done, gone)
            if rebuilt is not None:
                archive.accept(rebuilt)
                assert equal(rebuilt.state, expected)
            assert digest(expected) == archive.standings()[-1].after
        found = archive.verify()
    assert found.holds, found.faults


def _expected(done: Mapping[str, Aggregated], gone: Sequence[tuple[set[str], int]]) -> Mapping[str, torch.Tensor]:
    state = next(iter(done.values())).before
    for at, (name, one) in enumerate(done.items()):
        left_out = set().union(*(subjects for subjects, since in gone if at >= since))
        here = Aggregated(name, MODEL, state, one.after, one.updates)
        state = without({name: here}, sorted(left_out), name)
    return state


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_every_type_of_weights_comes_back_as_it_was(tmp_path: Path, dtype: torch.dtype) -> None:
    with opened(tmp_path) as archive:
        done = round_of("r1", start(dtype), ["a", "b", "x"], Recipe())
        entry = archive.record(done)
        assert entry.recipe is not None
        rebuilt = archive.rebuild(asked(["x"], "r1"))
        assert rebuilt is not None
        assert {tensor.dtype for tensor in rebuilt.state.values()} == {dtype}
        assert archive.verify().holds


def test_a_round_that_cannot_be_done_again_is_kept_as_such_and_falls_back_to_the_weights_before_it(
    tmp_path: Path,
) -> None:
    done = filled(tmp_path, {"r1": ["a", "x"], "r2": ["a", "b"]})
    with opened(tmp_path) as archive:
        for name in ("r3", "r4"):
            done[name] = round_of(name, done[list(done)[-1]].after, ["a", "x"], None)
            assert archive.record(done[name]).recipe is None
        rebuilt = archive.rebuild(asked(["x"], "r1"))
        assert rebuilt is not None
        record = archive.accept(rebuilt)
        assert ([one.round_id for one in record.replayed], record.dropped) == (["r1", "r2"], ["r3", "r4"])
        assert equal(rebuilt.state, without({name: done[name] for name in ("r1", "r2")}, ["x"], "r1"))
        assert archive.rebuild(asked(["x"], "r1")) is None
        found = archive.verify()
    assert found.holds
    assert found.not_replayable == ("r3", "r4")


def test_nothing_is_left_out_of_what_came_before_weights_from_elsewhere(tmp_path: Path) -> None:
    filled(tmp_path, {"r1": ["a", "x"], "r2": ["a", "b"]})
    with opened(tmp_path) as archive:
        other = {name: tensor + 1 for name, tensor in start().items()}
        done = {"r3": round_of("r3", other, ["a", "x"], Recipe())}
        archive.record(done["r3"])
        rebuilt = archive.rebuild(asked(["x"], "r1"))
        assert rebuilt is not None
        assert equal(rebuilt.state, without(done, ["x"], "r3"))
        assert "in between" in rebuilt.record.answers[0].incomplete
        assert archive.verify().restarts == ("r3",)
        assert archive.plan(asked(["b"], "r1")).answers[0].incomplete


def test_a_round_that_is_not_kept_any_more_leaves_the_rollback_incomplete(tmp_path: Path) -> None:
    done = filled(tmp_path, ROUNDS, rounds=3)
    with opened(tmp_path, rounds=3) as archive:
        assert [one.entry.round_id for one in archive.standings()] == ["r3", "r4", "r5"]
        rebuilt = archive.rebuild(asked(["x"], "r2"))
        assert rebuilt is not None
        assert "does not hold the round" in rebuilt.record.answers[0].incomplete
        kept = {name: done[name] for name in ("r3", "r4", "r5")}
        assert equal(rebuilt.state, without(kept, ["x"], "r3"))


def test_the_window_moves_on_and_still_verifies(tmp_path: Path) -> None:
    filled(tmp_path, {f"r{number}": ["a", "b", "x"] for number in range(9)}, rounds=4)
    with opened(tmp_path, rounds=4) as archive:
        rebuilt = archive.rebuild(asked(["x"], "r6"))
        assert rebuilt is not None
        archive.accept(rebuilt)
        state = rebuilt.state
        for number in range(9, 13):
            done = round_of(f"r{number}", state, ["a", "b"], Recipe())
            archive.record(done)
            state = dict(done.after)
            assert archive.verify().holds
        assert [entry.kind for entry in archive.entries] == ["round"] * 4
        # What nothing refers to any more is gone.
        assert len(list((tmp_path / "weights").iterdir())) == 4


def test_the_archive_stays_within_its_bytes(tmp_path: Path) -> None:
    most = 2 * 1024 * 1024
    filled(tmp_path, {f"r{number}": ["a", "b", "x"] for number in range(12)}, most_bytes=most)
    with opened(tmp_path, most_bytes=most) as archive:
        assert 1 <= len(archive.entries) <= 12
        assert archive.size_bytes <= most
        with pytest.raises(TooLarge):
            big = {"weight": torch.zeros(400_000)}
            archive.record(Aggregated("r99", MODEL, big, big, round_of("r1", start(), ["a"], Recipe()).updates))
        assert archive.verify().holds


def test_a_rebuild_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    done = filled(tmp_path, ROUNDS)
    seen: list[tuple[int, int]] = []

    def two(so_far: int, of: int) -> bool:
        seen.append((so_far, of))
        return so_far < 2

    with opened(tmp_path) as archive, pytest.raises(Stopped, match="2 of 4"):
        archive.rebuild(asked(["x"], "r1"), progress=two)
    with opened(tmp_path) as archive:
        rebuilt = archive.rebuild(asked(["x"], "r1"), progress=lambda so_far, of: seen.append((so_far, of)))
        assert rebuilt is not None
        assert equal(rebuilt.state, without(done, ["x"], "r1"))
        archive.accept(rebuilt)
    assert seen == [(0, 4), (1, 4), (2, 4), (2, 4), (3, 4), (4, 4)]
    assert not (tmp_path / "progress.jws").exists()


def test_rounds_that_came_since_do_not_make_a_stopped_rebuild_begin_anew(tmp_path: Path) -> None:
    done = filled(tmp_path, ROUNDS)
    seen: list[int] = []
    with opened(tmp_path) as archive:
        with pytest.raises(Stopped):
            archive.rebuild(asked(["x"], "r1"), progress=lambda so_far, _: so_far < 3)
        done["r6"] = round_of("r6", done["r5"].after, ["a", "x"], Recipe())
        archive.record(done["r6"])
        rebuilt = archive.rebuild(asked(["x"], "r1"), progress=lambda so_far, _: seen.append(so_far))
        assert rebuilt is not None
        assert equal(rebuilt.state, without(done, ["x"], "r1"))
    assert seen == [3, 4, 5]


def test_the_latest_weights_are_those_of_the_last_round_or_rollback(tmp_path: Path) -> None:
    done = filled(tmp_path, ROUNDS)
    with opened(tmp_path) as archive:
        latest = archive.latest()
        assert latest is not None
        assert equal(latest, done["r5"].after)
        rebuilt = archive.rebuild(asked(["x"], "r1"))
        assert rebuilt is not None
        archive.accept(rebuilt)
        latest = archive.latest()
        assert latest is not None
        assert equal(latest, rebuilt.state)
        archive.record(round_of("r6", rebuilt.state, ["a"], None))
        assert archive.latest() is None


def test_what_was_done_for_one_rebuild_is_not_taken_for_another(tmp_path: Path) -> None:
    done = filled(tmp_path, ROUNDS)
    with opened(tmp_path) as archive:
        with pytest.raises(Stopped):
            archive.rebuild(asked(["x"], "r1"), progress=lambda so_far, _: so_far < 2)
        rebuilt = archive.rebuild(asked(["a"], "r1"))
        assert rebuilt is not None
        assert equal(rebuilt.state, without(done, ["a"], "r1"))


def test_weights_that_were_rolled_back_are_known(tmp_path: Path) -> None:
    done = filled(tmp_path, ROUNDS)
    with opened(tmp_path) as archive:
        polluted = digest(done["r5"].after)
        assert not archive.is_superseded(polluted)
        rebuilt = archive.rebuild(asked(["x"], "r1"))
        assert rebuilt is not None
        archive.accept(rebuilt)
        assert archive.is_superseded(polluted)
        assert archive.is_superseded(digest(done["r2"].after))
        assert not archive.is_superseded(digest(done["r1"].after))
        assert not archive.is_superseded(digest(rebuilt.state))


def test_a_model_that_was_rebuilt_before_the_last_round_is_not_accepted(tmp_path: Path) -> None:
    done = filled(tmp_path, ROUNDS)
    with opened(tmp_path) as archive:
        rebuilt = archive.rebuild(asked(["x"], "r1"))
        assert rebuilt is not None
        archive.record(round_of("r6", done["r5"].after, ["a"], Recipe()))
        with pytest.raises(ArchiveError, match="rebuild it once more"):
            archive.accept(rebuilt)


def test_a_round_is_archived_once_and_with_its_own_model_alone(tmp_path: Path) -> None:
    done = filled(tmp_path, ROUNDS)
    with opened(tmp_path) as archive:
        with pytest.raises(ArchiveError, match="r3 is in the archive"):
            archive.record(done["r3"])
        foreign = Aggregated("r9", "another-model", done["r5"].after, done["r5"].after, done["r5"].updates)
        with pytest.raises(ArchiveError, match="give another-model one of its own"):
            archive.record(foreign)


def test_one_process_writes_at_a_time_and_others_may_read(tmp_path: Path) -> None:
    filled(tmp_path, ROUNDS)
    with opened(tmp_path), pytest.raises(ArchiveInUse), opened(tmp_path):
        pass
    with opened(tmp_path), DeltaArchive(tmp_path) as reader:
        assert reader.verify().holds
        rebuilt = reader.rebuild(asked(["x"], "r1"))
        assert rebuilt is not None
        with pytest.raises(ArchiveError, match="reading alone"):
            reader.accept(rebuilt)


def test_an_archive_that_moves_on_while_it_is_verified_is_looked_at_once_more(tmp_path: Path) -> None:
    done = filled(tmp_path, ROUNDS, rounds=5)
    states = [done["r5"].after]
    with opened(tmp_path, rounds=5) as writer:

        def move_on(so_far: int, _of: int) -> None:
            if so_far == 1 and len(states) == 1:
                for name in ("r6", "r7"):
                    following = round_of(name, states[-1], ["a", "b"], Recipe())
                    writer.record(following)
                    states.append(following.after)

        found = verify(tmp_path, f"dev-{KEY.thumbprint}", move_on)
    assert found.holds, found.faults
    assert [one.round_id for one in found.entries if one.kind == "round"] == ["r3", "r4", "r5", "r6", "r7"]


def test_another_key_neither_goes_on_with_an_archive_nor_reads_it_as_its_own(tmp_path: Path) -> None:
    filled(tmp_path, ROUNDS)
    with pytest.raises(ArchiveDamaged, match="is signed by dev-"):
        DeltaArchive(tmp_path, DeviceKey.generate())
    with pytest.raises(FileNotFoundError):
        DeltaArchive(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="1 to"):
        DeltaArchive(tmp_path, KEY, rounds=0)
