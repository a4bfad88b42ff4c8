"""What became of each round, as a file beside the models that the aggregator saves."""

import json
from pathlib import Path
from typing import Any

from adapters.guard import Guard, RoundReport

REPORT = "ztfm.json"
"""Name of the file, in the folder of ``last_state_path``."""


def write(guard: Guard, folder: Path) -> None:
    """Leave the guard's report in a folder.

    Raises:
        OSError: it cannot be written.
    """
    drops = [[*about, count] for about, count in sorted(guard.report.drops.items())]
    shown = {"rounds": [_shown(one) for one in guard.report.rounds], "drops": drops}
    (folder / REPORT).write_text(json.dumps(shown, indent=2) + "\n")


def _shown(report: RoundReport) -> dict[str, Any]:
    return {
        "round": report.round_id,
        "members": report.members,
        "pulled": report.pulled,
        "submitted": report.submitted,
        "accepted": report.accepted,
        "clipped": report.clipped,
        "aggregation": report.aggregation,
        "quarantined": list(report.quarantined),
        "drops": [[drop.point, drop.cause, drop.subject] for drop in report.drops],
        "rollbacks": [[list(one.subjects), one.result.state, one.result.rounds] for one in report.rollbacks],
    }
