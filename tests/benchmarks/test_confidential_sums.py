"""What is measured of secure sums is measured on right ones."""

import json
import subprocess
import sys

from benchmarks.confidential_sums import measure
from benchmarks.grouped import Setting, run


def test_a_measured_sum_is_right_and_its_parts_add_up() -> None:
    found = measure(clients=10, values=300, dropped=0.2)
    assert (found["in_the_sum"], found["dropped_before"], found["dropped_after"]) == (9, 1, 1)
    assert 0.0 < found["unmasking_seconds"] < found["secure_sum_seconds"] < found["all_seconds"]
    assert found["client_sends_bytes"] > found["vector_bytes"] == 4 * 301


def test_the_figures_are_printed_as_json() -> None:
    program = [sys.executable, "-m", "benchmarks.confidential_sums", "--clients", "6", "--values", "20", "--json"]
    printed = subprocess.run(program, capture_output=True, text=True, check=True, timeout=120).stdout
    assert json.loads(printed)["clients"] == 6


def test_a_liar_in_small_groups_is_found_and_nobody_else() -> None:
    found = run(Setting(members=24, group=4, rounds=14), seed=1)
    assert len(found.found_after) == 1
    assert found.honest_set_apart == 0
    assert found.sums == found.sums_refused == found.found_after[0]
