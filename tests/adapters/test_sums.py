"""A device is in one sum of a round, whatever it is asked for later."""

from pathlib import Path

import pytest

from adapters.sums import Sums


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_second_sum_of_a_round_has_other_values_and_is_refused(tmp_path: Path, is_kept: bool) -> None:
    sums = Sums(tmp_path if is_kept else None)
    assert sums.join("round-1", "sha256:a")
    assert sums.join("round-1", "sha256:a")
    assert not sums.join("round-1", "sha256:b")
    assert sums.join("round-2", "sha256:b")


def test_it_is_remembered_by_the_next_process(tmp_path: Path) -> None:
    assert Sums(tmp_path).join("round-1", "sha256:a")
    assert not Sums(tmp_path).join("round-1", "sha256:b")


@pytest.mark.parametrize("is_kept", [True, False])
def test_the_latest_rounds_alone_are_remembered(tmp_path: Path, is_kept: bool) -> None:
    sums = Sums(tmp_path if is_kept else None)
    for number in range(300):
        assert sums.join(f"round-{number}", "sha256:a")
    assert not sums.join("round-299", "sha256:b")
    if is_kept:
        assert len(list((tmp_path / "sums").iterdir())) == 256
