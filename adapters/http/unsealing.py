"""Updates that come sealed to the aggregator's key: taken in as they are, opened before anything looks at them."""

import asyncio
import logging
from pathlib import Path

from adapters.credentials import RoundTerms
from adapters.jobs import refusals
from adapters.jobs.refusals import Refusal
from adapters.sealed.updates import open_update
from controlplane.confidentiality.errors import SealRefused
from controlplane.confidentiality.hpke import PrivateReleaseKey

_log = logging.getLogger("ztfm.http")


async def unseal(
    sealed: Path, path: Path, key: PrivateReleaseKey, terms: RoundTerms, sender: str, most_bytes: int
) -> Refusal | None:
    """Write an update that came sealed to a file, or return what is wrong with it.

    Args:
        sealed: as it came.
        path: where the update is put.
        key: of this aggregator.
        terms: of the round.
        sender: who sent it.
        most_bytes: that an update may have.
    """
    try:
        await asyncio.to_thread(open_update, sealed, path, key, terms=terms, subject=sender, most_bytes=most_bytes)
    except SealRefused as error:
        return refusals.unfit(f"The sealed update does not open: {error}.", "not_sealed")
    except OSError as error:
        _log.error("a sealed update could not be opened: %s", error)
        return refusals.busy("The update could not be stored.", "unavailable")
    return None
