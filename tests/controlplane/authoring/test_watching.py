from pathlib import Path

from controlplane.authoring.watching import changes, snapshot
from tests.controlplane.authoring.breaking import write


def test_a_change_an_addition_and_a_removal_are_seen_once_each(tmp_path: Path) -> None:
    policy, gone = tmp_path / "policy.rego", tmp_path / "gone.json"
    write(policy, "one")
    write(gone, "{}")
    steps = iter([lambda: write(policy, "other"), lambda: write(tmp_path / "data" / "new.json", "{}"), gone.unlink])
    seen = changes(tmp_path, sleep=lambda _: next(steps)())
    assert [next(seen) for _ in range(3)] == [[policy], [tmp_path / "data" / "new.json"], [gone]]


def test_what_changed_while_the_caller_was_at_work_is_not_lost(tmp_path: Path) -> None:
    policy = tmp_path / "policy.rego"
    write(policy, "one")
    before = snapshot(tmp_path)
    write(policy, "two, longer")
    assert next(changes(tmp_path, before)) == [policy]


def test_other_files_are_not_watched(tmp_path: Path) -> None:
    write(tmp_path / "notes.txt", "x")
    assert snapshot(tmp_path) == {}
