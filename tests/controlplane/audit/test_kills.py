"""What is left of the log when its process is killed, again and again; `kills` does it as often as one likes."""

import json
import subprocess
import sys


def test_no_decision_that_was_given_out_is_lost_and_the_log_is_sound_after_each_death() -> None:
    # A process of its own forks: this one has threads.
    command = [sys.executable, "-m", "tests.controlplane.audit.kills", "--times", "8", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert (found["kills"], found["lost"], found["faults"]) == (8, [], [])
    assert found["given"] > 100
    assert found["entries"] >= found["given"]
