"""The benchmark of rollbacks measures what it says, on a small model."""

import json

import pytest

from benchmarks.rollback import main


def test_it_prints_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rounds", "2", "--updates", "3", "--parameters", "1000", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"record_s", "write_s", "rebuild_round_s", "verify_round_s"} <= found.keys()
    assert (found["rounds"], found["updates"], found["parameters"]) == (2, 3, 1000)
    # Three updates and the weights, four bytes a value.
    assert found["round_bytes"] >= 4 * 4 * 1000
    main(["--rounds", "1", "--updates", "1", "--parameters", "10"])
    assert "record_s" in capsys.readouterr().out
