"""Open a job over HTTP from the folder of an enrolled aggregator."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from adapters.http.job import Federation
from adapters.jobs.opening import opened_job


def federation(
    keys: Path, state: Path, weights: Path, *, audience: str, model: str, **options: Any
) -> AbstractContextManager[Federation]:
    """Open a job as the aggregator that was enrolled in ``keys``. It follows revocations.

    Args:
        keys: the aggregator's key and identity (`python -m adapters.enrol`).
        state: the job's own folder.
        weights: safetensors file that the first round begins with.
        audience: the name of this enforcement point.
        model: the model's identifier in ``policies/data``.
        options: ``members``, ``archive`` and ``segment`` of `opened_job`, and the other arguments of `Federation`.

    Raises:
        FileNotFoundError: and the others of `opened_job`, when the context is entered.
    """
    return opened_job(Federation, keys, state, weights, audience=audience, model=model, **options)
