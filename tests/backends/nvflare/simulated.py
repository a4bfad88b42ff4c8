"""A federation in NVFLARE's simulator, as a program of its own in NVFLARE's environment."""

import json
import sys
from pathlib import Path

from nvflare.recipe import SimEnv

from adapters.nvflare import GuardPoint
from adapters.rollback import verify
from examples.nvflare_job import job

SITES, ROUNDS = 4, 2

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    aggregator, archive = str(folder / "aggregator"), str(folder / "archive")
    point = GuardPoint(audience="aggregator-1", model=job.MODEL, folder=aggregator, archive=archive)
    script = Path(__file__).with_name("client.py")
    run = job.recipe(point, str(folder / "{site}"), SITES, ROUNDS, script).run(
        SimEnv(num_clients=SITES, workspace_root=str(folder / "simulation"))
    )
    report = json.loads((Path(run.get_result()) / "server" / "simulate_job" / "ztfm.json").read_text())
    kept = verify(folder / "archive")
    (folder / "ended.json").write_text(
        json.dumps({**report, "replayed": kept.replayed, "faults": [*kept.faults, *kept.restarts]})
    )
