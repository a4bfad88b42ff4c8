"""The administrator of the kit's deployments, as a program: gathers sites, submits a job, waits for its end.

python -m adapters.nvflare.submitting '{"kit": ..., "job": ..., "to": ..., "told": ..., "least": 5, "most": 6, ...}'
"""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nvflare.apis.job_def import JobMetaKey, RunStatus
from nvflare.fuel.flare_api.api_spec import NoConnection
from nvflare.fuel.flare_api.flare_api import new_secure_session

ADMINISTRATOR = "admin@nvidia.com"

_SESSION_SECONDS = 120.0
_COMMAND_SECONDS = 30.0
_LINGER_SECONDS = 6.0
_GLANCE_SECONDS = 0.5
_RUNNING = (RunStatus.SUBMITTED, RunStatus.APPROVED, RunStatus.DISPATCHED, RunStatus.RUNNING)


def submitted(orders: Mapping[str, Any]) -> str:
    """Return the folder of a job's result.

    Args:
        orders: ``kit`` of the administrator, ``job`` to submit, folder ``to`` download to, ``least`` and ``most``
            sites to wait for, ``seconds`` that the job has.

    Raises:
        RuntimeError: too few sites came, or the job did not come to its end.
    """
    session = new_secure_session(ADMINISTRATOR, orders["kit"], timeout=_SESSION_SECONDS)
    try:
        session.set_timeout(_COMMAND_SECONDS)
        _gather(session, orders["least"], orders["most"])
        job = session.submit_job(orders["job"])
        status = _ended(session, job, orders["seconds"])
        if status != RunStatus.FINISHED_COMPLETED:
            raise RuntimeError(f"the job ended as {status}")
        return str(session.download_job_result(job, orders["to"]))
    finally:
        session.close()


def _gather(session: Any, least: int, most: int) -> None:
    """Return once all sites are connected, or as many as can be and no more came for a while.

    Raises:
        RuntimeError: too few are.
    """
    began = came = time.monotonic()
    seen = 0
    while time.monotonic() - began < _SESSION_SECONDS:
        connected = len(session.get_system_info().client_info)
        if connected != seen:
            seen, came = connected, time.monotonic()
        if seen == most or (seen >= least and time.monotonic() - came > _LINGER_SECONDS):
            return
        time.sleep(_GLANCE_SECONDS)
    raise RuntimeError(f"{seen} of {most} sites are connected")


def _ended(session: Any, job: str, seconds: float) -> str:
    """Return how a job ended; an answer that came too late is asked for again.

    Raises:
        RuntimeError: it has not ended by then.
    """
    deadline, status = time.monotonic() + seconds, str(RunStatus.SUBMITTED.value)
    while time.monotonic() < deadline:
        try:
            status = str(session.get_job_meta(job).get(JobMetaKey.STATUS.value, ""))
        except NoConnection as error:
            print(f"asked again: {error}", file=sys.stderr)
        if status not in _RUNNING:
            return status
        time.sleep(_GLANCE_SECONDS)
    raise RuntimeError(f"the job did not end within {seconds:g} s")


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    Path(given["told"]).write_text(submitted(given))
