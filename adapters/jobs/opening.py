"""Open everything that a job needs from the folder of an enrolled aggregator."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from adapters.client import SyncControlPlane
from adapters.enrolment import load_identity, load_key
from adapters.guard import Guard
from adapters.jobs.keeping import JobFolder
from adapters.jobs.reception import Reception
from adapters.jobs.running import FederatedJob
from adapters.rollback import DeltaArchive

_FIRST_WORD_SECONDS = 5.0

Kind = TypeVar("Kind", bound=FederatedJob)


@contextmanager
def opened_job(
    kind: Callable[..., Kind],
    keys: Path,
    state: Path,
    weights: Path,
    *,
    audience: str,
    model: str,
    members: Sequence[str] | None = None,
    archive: Path | None = None,
    segment: str | None = None,
    shards: Sequence[str] | None = None,
    **options: Any,
) -> Iterator[Kind]:
    """Open a job as the aggregator that was enrolled in ``keys``. It follows revocations.

    Args:
        kind: what runs the job, over one transport.
        keys: the aggregator's key and identity (`python -m adapters.enrol`).
        state: the job's own folder.
        weights: safetensors file that the first round begins with.
        audience: the name of this enforcement point.
        model: the model's identifier in ``policies/data``.
        members: who is invited; none for whoever announces itself.
        archive: folder of the updates that are kept, so that they can be undone; none keeps none.
        segment: from which devices are taken; none for any.
        shards: the parts of the model that its rounds train; none for all of it.
        options: the other arguments of ``kind``.

    Raises:
        FileNotFoundError: nobody was enrolled in ``keys``.
        KeyFileError: its key or identity cannot be used.
        JobError: the job's folder cannot be used.
        ArchiveError: the archive is damaged, somebody else's, or in use.
        OSError: a file cannot be read or written.
    """
    identity, key = load_identity(keys), load_key(keys)
    with JobFolder(state, model, weights) as folder, SyncControlPlane(identity.url, key) as plane:
        standings = plane.follow_revocations(_FIRST_WORD_SECONDS, issuer=identity.issuer)
        kept = None if archive is None else DeltaArchive(archive, key)
        shared: dict[str, Any] = {"segment": segment, "standings": standings, "shards": shards}
        reception = Reception(identity.issuer, audience, **shared)
        guard = Guard(
            plane, audience=audience, model=model, issuer=identity.issuer, members=members, archive=kept, **shared
        )
        with guard:
            yield kind(guard, reception, folder, members=members, **options)
