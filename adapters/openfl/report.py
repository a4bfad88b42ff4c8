"""What became of each round, as a file beside the models that the aggregator saves."""

import json
from pathlib import Path

from adapters.guard import Guard

REPORT = "ztfm.json"
"""Name of the file, in the folder of ``last_state_path``."""


def write(guard: Guard, folder: Path) -> None:
    """Leave the guard's report in a folder.

    Raises:
        OSError: it cannot be written.
    """
    (folder / REPORT).write_text(json.dumps(guard.report.summary(), indent=2) + "\n")
