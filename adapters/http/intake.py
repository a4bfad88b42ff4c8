"""Take in what a member submits: look at it as it comes, and keep what the guard is to rule on."""

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from adapters.credentials import Credentials, subject_of
from adapters.guard import Refused
from adapters.http import refusals
from adapters.http.arrivals import BROKEN, receive
from adapters.http.desk import Desk
from adapters.http.opened import Attempt, OpenRound, Taken
from adapters.http.reception import as_shown, presented
from adapters.http.refusals import Refusal
from adapters.http.signing import SignedRequest, read_content_digest
from adapters.http.tensorfile import UnfitFileError, file_digest, read_stored
from adapters.web.presented import Asked, body_bytes
from controlplane.contracts.identity import PublicKey

TENSORS = "application/vnd.safetensors"

_EVIDENCE = frozenset({400, 401, 403, 411, 413, 415, 422})
"""What a member is refused for with these is its own doing. With others it may be the network's, or ours."""

_MOST_DIGITS = 18

_log = logging.getLogger("ztfm.http")


@dataclass(frozen=True)
class _Examined:
    """What an update that came whole is.

    Attributes:
        digest: of its tensors; empty when it is refused.
        refusal: why it does not fit; none when it does.
        is_readable: its tensors can be read, whether they fit or not.
    """

    digest: str = ""
    refusal: Refusal | None = None
    is_readable: bool = False


class Intake:
    """Takes updates in.

    Args:
        desk: what the routes share with the job.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def signer(self, request: web.Request, asked: Asked) -> str | Refused:
        """Return who signed a request: by the key of its proof, or one that was announced.

        Who signed it is who sends it: the credentials that it shows may be another's.
        """
        shown = presented(asked)

        def find(thumbprint: str) -> PublicKey | None:
            if not isinstance(shown, Refused) and subject_of(thumbprint) == shown[0].subject:
                return shown[1]
            return self._desk.keys.get(thumbprint)

        # What a request says of its host is not looked at: anybody can send any.
        signed = SignedRequest(request.method, self._desk.public_url + request.raw_path, request.headers)
        found = self._desk.signatures.verify(signed, find)
        return found if isinstance(found, Refused) else subject_of(found)

    async def take(self, request: web.Request, asked: Asked, opened: OpenRound, signer: str) -> Refusal | None:
        """Take a member's update in, or return why not.

        The guard is told at the gate what a member was refused for, unless it sends something better before.
        """
        path = opened.new_path()
        is_kept = False
        try:
            refusal = await self._checked(request, asked, opened, signer) or await self._arrived(
                request, asked, opened, path
            )
            examined = _Examined(refusal=refusal)
            if refusal is None:
                examined = await self._examined(opened, _credentials(asked, signer), path)
            # Since the last wait nothing else has run: what is taken in now is in time.
            if opened.is_closed:
                return not_open()
            is_kept = self._settled(request, asked, opened, signer, path, examined)
            return examined.refusal
        finally:
            if not is_kept:
                path.unlink(missing_ok=True)

    def _settled(
        self, request: web.Request, asked: Asked, opened: OpenRound, signer: str, path: Path, examined: _Examined
    ) -> bool:
        """Note what became of an update, and return whether its file is needed."""
        examples, shown = stated_examples(request) or 0, _credentials(asked, signer)
        refusal = examined.refusal
        if refusal is None:
            size = opened.sealed.manifest.size_bytes
            opened.take(Taken(signer, path, examined.digest, size, examples, shown))
            return True
        if refusal.status not in _EVIDENCE or refusal.cause == "broken":
            return False
        opened.refuse(Attempt(signer, examples, shown, path if examined.is_readable else None))
        return examined.is_readable

    async def _checked(self, request: web.Request, asked: Asked, opened: OpenRound, signer: str) -> Refusal | None:
        """Return what is wrong with a submission before its body is read."""
        if request.content_type != TENSORS or "Content-Encoding" in request.headers:
            return refusals.media_type([TENSORS])
        size = body_bytes(asked)
        if size is None:
            return refusals.unsized()
        if size > opened.limit_bytes:
            return refusals.over_limit(opened.limit_bytes)
        if stated_examples(request) is None:
            return refusals.malformed("Say in the query on how many examples the device trained: ?examples=64.")
        shown = presented(asked)
        if isinstance(shown, Refused):
            return refusals.of(shown)
        if shown[0].subject != signer:
            return refusals.denied("The credentials are another device's than the signature.", "wrong_subject")
        terms, values = opened.sealed.terms, opened.sealed.manifest.size_bytes
        beyond = await self._desk.reception.look(shown[0], "gradient_submission", terms, size_bytes=values)
        return None if beyond is None else refusals.of(beyond)

    async def _arrived(self, request: web.Request, asked: Asked, opened: OpenRound, path: Path) -> Refusal | None:
        """Write the body to a file, or return what is wrong with it."""
        loop, size = asyncio.get_running_loop(), body_bytes(asked) or 0
        if request.headers.get("Expect", "").lower() == "100-continue":
            await _go_on(request)
        until = min(loop.time() + self._desk.bounds.transfer_seconds, opened.deadline)
        try:
            sha256 = await receive(request.content, path, size, until)
        except TimeoutError:
            return not_open() if loop.time() >= opened.deadline else refusals.timeout()
        except (ValueError, *BROKEN):
            return refusals.malformed("The body is not as long as it says.", "broken")
        except OSError as error:
            _log.error("an update could not be stored: %s", error)
            return refusals.busy("The update could not be stored.", "unavailable")
        if sha256 != read_content_digest(request.headers.getall("Content-Digest")):
            detail = "The body is not what Content-Digest says: it was changed on its way."
            return refusals.unfit(detail, "broken")
        return None

    async def _examined(self, opened: OpenRound, shown: Credentials, path: Path) -> _Examined:
        """Return whether an update's form fits, and its proof is for it."""
        try:
            stored = await asyncio.to_thread(read_stored, path)
            misfit = opened.misfit(stored)
            if misfit:
                detail = f"{misfit} The tensors are those of GET /v1/rounds/current."
                return _Examined(refusal=refusals.unfit(detail), is_readable=True)
            digest = await asyncio.to_thread(file_digest, path, stored)
        except UnfitFileError as error:
            return _Examined(refusal=refusals.unfit(f"It is no safetensors file that can be screened: {error}."))
        except OSError as error:
            _log.error("an update could not be read back: %s", error)
            return _Examined(refusal=refusals.busy("The update could not be read back.", "unavailable"))
        beyond = await self._desk.reception.look(shown, "gradient_submission", opened.sealed.terms, digest=digest)
        if beyond is None:
            return _Examined(digest)
        refusal = refusals.of(beyond)
        if beyond.cause == "wrong_digest":
            detail = f"The proof is for another update: ztfm_digest of this one is {digest}."
            refusal = refusals.unfit(detail, beyond.cause)
        return _Examined(refusal=refusal, is_readable=True)


def not_open() -> Refusal:
    """409: a round that is over, or never was."""
    return refusals.conflict("That round is not open: ask GET /v1/rounds/current which one is.", "wrong_round")


def stated_examples(request: web.Request) -> int | None:
    """Return how many training examples a submission claims, or none where it does not say so in digits."""
    found = request.query.getall("examples", [])
    stated = found[0] if len(found) == 1 and found[0].isascii() and len(found[0]) <= _MOST_DIGITS else ""
    return int(stated) if stated.isdecimal() else None


async def say_nothing_yet(_request: web.Request) -> None:
    """Let a client that waits for 100 (Continue) wait until its headers were looked at (RFC 9110 section 10.1.1)."""


async def _go_on(request: web.Request) -> None:
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    # It is no answer: the real one has not begun.
    request.writer.output_size = 0


def _credentials(asked: Asked, signer: str) -> Credentials:
    shown = presented(asked)
    return as_shown(asked, signer) if isinstance(shown, Refused) else shown[0]
