"""Look at an update that arrived: before its tensors are read, once they are in a file, and what became of it."""

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

from adapters.credentials import Credentials
from adapters.jobs import refusals
from adapters.jobs.opened import Attempt, OpenRound, Taken
from adapters.jobs.reception import Reception
from adapters.jobs.refusals import Refusal
from adapters.jobs.tensorfile import UnfitFileError, file_digest, read_stored

_EVIDENCE = frozenset({400, 401, 403, 411, 413, 415, 422})
"""What a member is refused for with these is its own doing. With others it may be the network's, or ours."""

_MOST_DIGITS = 18

_log = logging.getLogger("ztfm.jobs")


@dataclass(frozen=True)
class Examined:
    """What an update that came whole is.

    Attributes:
        digest: of its tensors; empty when it is refused.
        refusal: why it does not fit; none when it does.
        is_readable: its tensors can be read, whether they fit or not.
    """

    digest: str = ""
    refusal: Refusal | None = None
    is_readable: bool = False


async def shown_amiss(
    reception: Reception, opened: OpenRound, shown: Credentials, sender: str, sealed_to: str | None = None
) -> Refusal | None:
    """Return what is wrong with an update's credentials, as far as that can be told without the update.

    Args:
        reception: looks at them.
        opened: the round.
        shown: what came with the update.
        sender: whose update it is.
        sealed_to: digest of the key of this aggregator that it comes sealed to; none where it does not.
    """
    if shown.subject != sender:
        return refusals.denied("The credentials are another device's than the sender.", "wrong_subject")
    terms, values = opened.sealed.terms, opened.sealed.manifest.size_bytes
    beyond = await reception.look(shown, "gradient_submission", terms, size_bytes=values, sealed_to=sealed_to)
    return None if beyond is None else refusals.of(beyond)


async def examined(
    reception: Reception,
    opened: OpenRound,
    shown: Credentials,
    path: Path,
    *,
    where: str = "the round's notice",
    sealed_to: str | None = None,
) -> Examined:
    """Return whether an update's form fits, and its proof is for it.

    Args:
        reception: looks at the credentials.
        opened: the round.
        shown: what came with the update.
        path: of the update's file.
        where: a client finds what the tensors are to be.
        sealed_to: digest of the key of this aggregator that it came sealed to; none where it did not.
    """
    try:
        stored = await asyncio.to_thread(read_stored, path)
        misfit = opened.misfit(stored)
        if misfit:
            detail = f"{misfit} The tensors are those of {where}."
            return Examined(refusal=refusals.unfit(detail), is_readable=True)
        digest = await asyncio.to_thread(file_digest, path, stored)
    except UnfitFileError as error:
        return Examined(refusal=refusals.unfit(f"It is no safetensors file that can be screened: {error}."))
    except OSError as error:
        _log.error("an update could not be read back: %s", error)
        return Examined(refusal=refusals.busy("The update could not be read back.", "unavailable"))
    terms = opened.sealed.terms
    beyond = await reception.look(shown, "gradient_submission", terms, digest=digest, sealed_to=sealed_to)
    if beyond is None:
        return Examined(digest)
    refusal = refusals.of(beyond)
    if beyond.cause == "wrong_digest":
        detail = f"The proof is for another update: ztfm_digest of this one is {digest}."
        refusal = refusals.unfit(detail, beyond.cause)
    return Examined(refusal=refusal, is_readable=True)


def settled(
    opened: OpenRound,
    found: Examined,
    path: Path,
    *,
    sender: str,
    examples: int,
    shown: Credentials,
    sealed_to: str | None = None,
) -> bool:
    """Note what became of an update, and return whether its file is needed.

    The guard is told at the gate what a member was refused for, unless it sends something better before.

    Args:
        opened: the round.
        found: what the update is.
        path: of its file.
        sender: whose it is.
        examples: training examples behind it, as the device claims.
        shown: what came with it.
        sealed_to: digest of the key of this aggregator that it came sealed to; none where it came in the clear.
    """
    refusal = found.refusal
    if refusal is None:
        size = opened.sealed.manifest.size_bytes
        opened.take(Taken(sender, path, found.digest, size, examples, shown, sealed_to))
        return True
    if refusal.status not in _EVIDENCE or refusal.cause == "broken":
        return False
    opened.refuse(Attempt(sender, examples, shown, path if found.is_readable else None, sealed_to))
    return found.is_readable


def read_examples(text: str) -> int | None:
    """Return how many training examples an update claims, or none where it does not say so in digits."""
    stated = text if text.isascii() and len(text) <= _MOST_DIGITS else ""
    return int(stated) if stated.isdecimal() else None
