"""A large state dict is sealed, and updates as large are screened, in little more memory than it takes itself."""

import json

import pytest

from benchmarks.large import BAR, main, shapes


@pytest.mark.minutes
def test_a_state_dict_is_sealed_and_its_updates_are_gated_within_the_bar(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--megabytes", "256", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["accepted"] == found["updates"] == 4
    assert found["state_bytes"] > 250 << 20
    # Not less than the state dict, which is in memory: else something else was measured.
    assert 1.0 <= found["memory_ratio"] <= BAR == 1.5


def test_a_tenth_of_the_model_is_one_tensor() -> None:
    sizes = [4 * rows * columns for rows, columns in shapes(1024).values()]
    assert sum(sizes) == pytest.approx(1 << 30, rel=0.05)
    assert max(sizes) == pytest.approx(sum(sizes) / 10, rel=0.05)
