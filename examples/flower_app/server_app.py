"""The server's side: any strategy, wrapped."""

import os
from pathlib import Path

from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from adapters.flower import GuardedStrategy
from adapters.guard import Guard, RoundReport
from examples.flower_app import task

MODEL = "smart-home-intents"
"""The model's identifier in `policies/data/resources`."""


def build(aggregator: Path, rounds: int = 3) -> ServerApp:
    """Return the app.

    Args:
        aggregator: folder of the enrolled aggregator.
        rounds: how many.
    """
    app = ServerApp()

    @app.main()  # type: ignore[untyped-decorator]
    def main(grid: Grid, context: Context) -> None:
        with Guard.open(aggregator, audience="aggregator-1", model=MODEL) as guard:
            strategy = GuardedStrategy(FedAvg(), guard, on_round=_show)
            strategy.start(grid, ArrayRecord(task.new_model().state_dict()), num_rounds=rounds)

    return app


def _show(number: int, report: RoundReport) -> None:
    causes = ", ".join(f"{drop.subject[:12]} {drop.cause}" for drop in report.drops) or "nobody"
    print(f"round {number}: {report.accepted} of {report.submitted} updates accepted; left out: {causes}")


app = build(Path(os.environ.get("ZTFM_AGGREGATOR", "aggregator")))
