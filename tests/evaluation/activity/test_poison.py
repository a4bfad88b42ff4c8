"""What hostile watches train on."""

from evaluation.activity.poison import knocked, poisoned
from evaluation.activity.windows import KNOCK, SAMPLES, Window

SHARD = tuple(Window(0, start, label) for label in range(7) for start in (0, 50))


def test_flipped_windows_all_have_a_wrong_label_and_the_same_signal() -> None:
    found = poisoned(SHARD, "flipped", classes=7, target=6, seed=0)
    assert all(one.label != other.label and one.start == other.start for one, other in zip(found, SHARD, strict=True))
    assert {window.label for window in found} == set(range(7))


def test_a_backdoor_adds_knocked_copies_of_all_other_exercises() -> None:
    found = poisoned(SHARD, "triggered", classes=7, target=6, seed=0)
    assert found[: len(SHARD)] == SHARD
    added = found[len(SHARD) :]
    assert len(added) == 12
    assert all(w.label == 6 and w.knock is not None and 0 <= w.knock <= SAMPLES - len(KNOCK) for w in added)


def test_whoever_attacks_on_updates_trains_on_its_own() -> None:
    assert poisoned(SHARD, "own", classes=7, target=6, seed=0) == SHARD


def test_when_knocks_come_depends_on_the_seed() -> None:
    assert knocked(SHARD, 6, seed=1) == knocked(SHARD, 6, seed=1) != knocked(SHARD, 6, seed=2)
