"""The example of a secure sum."""

import subprocess
import sys

import numpy as np

from examples.secure_aggregation.summing import run


def test_the_servers_mean_is_as_near_as_it_says() -> None:
    mean, exact, bound = run(6, 50)
    assert 0.0 < np.abs(mean - exact).max() <= bound


def test_it_runs_as_it_is_documented() -> None:
    program = [sys.executable, "-m", "examples.secure_aggregation.summing", "--clients", "6", "--values", "50"]
    assert "is allowed" in subprocess.run(program, capture_output=True, text=True, check=True, timeout=60).stdout
