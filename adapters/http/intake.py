"""Take in what a member submits: look at it as it comes, and keep what the guard is to rule on."""

import asyncio
import logging
from pathlib import Path

from aiohttp import web

from adapters.credentials import Credentials, subject_of
from adapters.guard import Refused
from adapters.http.arrivals import BROKEN, receive
from adapters.http.desk import HttpDesk
from adapters.http.showing import as_shown, presented
from adapters.http.signing import SignedRequest, read_content_digest
from adapters.http.unsealing import unseal
from adapters.jobs import refusals
from adapters.jobs.examining import Examined, examined, read_examples, settled, shown_amiss
from adapters.jobs.opened import OpenRound
from adapters.jobs.refusals import Refusal
from adapters.jobs.taking_part import TENSORS
from adapters.sealed.updates import SEALED_UPDATE, sealed_at_most
from adapters.web.presented import Asked, body_bytes
from controlplane.confidentiality.releasing import key_digest
from controlplane.contracts.identity import PublicKey
from controlplane.jose.keys import thumbprint as thumbprint_of

_log = logging.getLogger("ztfm.http")


class Intake:
    """Takes updates in.

    Args:
        desk: what the routes share with the job.
    """

    def __init__(self, desk: HttpDesk) -> None:
        self._desk = desk

    async def signer(self, request: web.Request, asked: Asked) -> str | Refused:
        """Return who signed a request: by the key of its proof, or one that was announced.

        Who signed it is who sends it: the credentials that it shows may be another's.
        """
        shown = presented(asked)

        def find(thumbprint: str) -> PublicKey | None:
            if not isinstance(shown, Refused) and thumbprint_of(shown[1]) == thumbprint:
                return shown[1]
            return self._desk.keys.get(thumbprint)

        # What a request says of its host is not looked at: anybody can send any.
        signed = SignedRequest(request.method, self._desk.public_url + request.raw_path, request.headers)
        found = self._desk.signatures.verify(signed, find)
        if isinstance(found, Refused):
            return found
        names = self._desk.guard.names
        if isinstance(shown, tuple) and shown[0].subject not in (names.of(found), subject_of(found)):
            # It says that it has another key than its first: by a capability that holds, it is believed.
            holds = await self._desk.reception.has_key(shown[0].subject, found, shown[0].capability)
            if holds:
                names.learn(shown[0].subject, found)
        return names.of(found) or Refused("wrong_key", "The device of that name has another key by now.")

    async def take(self, request: web.Request, asked: Asked, opened: OpenRound, signer: str) -> Refusal | None:
        """Take a member's update in, or return why not.

        The guard is told at the gate what a member was refused for, unless it sends something better before.
        """
        path, sealed_to = opened.new_path(), self._sealed_to(request)
        is_kept = False
        try:
            refusal = await self._checked(request, asked, opened, signer) or await self._taken(
                request, asked, opened, path, signer
            )
            shown = _credentials(asked, signer)
            found = Examined(refusal=refusal)
            if refusal is None:
                where = "GET /v1/rounds/current"
                found = await examined(self._desk.reception, opened, shown, path, where=where, sealed_to=sealed_to)
            # Since the last wait nothing else has run: what is taken in now is in time.
            if opened.is_closed:
                return not_open()
            examples = stated_examples(request) or 0
            is_kept = settled(opened, found, path, sender=signer, examples=examples, shown=shown, sealed_to=sealed_to)
            return found.refusal
        finally:
            if not is_kept:
                path.unlink(missing_ok=True)

    async def _checked(self, request: web.Request, asked: Asked, opened: OpenRound, signer: str) -> Refusal | None:
        """Return what is wrong with a submission before its body is read."""
        taken = [TENSORS] if self._desk.update_key is None else [TENSORS, SEALED_UPDATE]
        if request.content_type not in taken or "Content-Encoding" in request.headers:
            return refusals.media_type(taken)
        size, limit = body_bytes(asked), opened.limit_bytes
        if request.content_type == SEALED_UPDATE:
            limit = sealed_at_most(limit)
        if size is None:
            return refusals.unsized()
        if size > limit:
            return refusals.over_limit(limit)
        if stated_examples(request) is None:
            return refusals.malformed("Say in the query on how many examples the device trained: ?examples=64.")
        shown = presented(asked)
        if isinstance(shown, Refused):
            return refusals.of(shown)
        return await shown_amiss(self._desk.reception, opened, shown[0], signer, self._sealed_to(request))

    def _sealed_to(self, request: web.Request) -> str | None:
        """Return the digest of this aggregator's key where a body says that it is sealed; nothing is opened."""
        key = self._desk.update_key
        return key_digest(key.public) if key is not None and request.content_type == SEALED_UPDATE else None

    async def _taken(
        self, request: web.Request, asked: Asked, opened: OpenRound, path: Path, signer: str
    ) -> Refusal | None:
        """Write the update to a file, opened where it came sealed, or return what is wrong with it."""
        key = self._desk.update_key
        if key is None or request.content_type != SEALED_UPDATE:
            return await self.arrived(request, asked, path, opened.deadline)
        sealed = path.with_suffix(".sealed")
        try:
            return await self.arrived(request, asked, sealed, opened.deadline) or await unseal(
                sealed, path, key, opened.sealed.terms, signer, opened.limit_bytes
            )
        finally:
            sealed.unlink(missing_ok=True)

    async def arrived(self, request: web.Request, asked: Asked, path: Path, deadline: float) -> Refusal | None:
        """Write a body whose length was looked at to a file, or return what is wrong with it.

        Args:
            request: whose body it is.
            asked: the same, as it came.
            path: of the file; it is left behind whatever happens.
            deadline: until when it is waited for at most, on the event loop's clock.
        """
        loop, size = asyncio.get_running_loop(), body_bytes(asked) or 0
        if request.headers.get("Expect", "").lower() == "100-continue":
            await _go_on(request)
        until = min(loop.time() + self._desk.bounds.transfer_seconds, deadline)
        try:
            sha256 = await receive(request.content, path, size, until)
        except TimeoutError:
            return not_open() if loop.time() >= deadline else refusals.timeout()
        except (ValueError, *BROKEN):
            return refusals.malformed("The body is not as long as it says.", "broken")
        except OSError as error:
            _log.error("an update could not be stored: %s", error)
            return refusals.busy("The update could not be stored.", "unavailable")
        if sha256 != read_content_digest(request.headers.getall("Content-Digest")):
            detail = "The body is not what Content-Digest says: it was changed on its way."
            return refusals.unfit(detail, "broken")
        return None


def asked_of(request: web.Request) -> Asked:
    """Return a request as it came over the wire."""
    names = {name.lower() for name in request.headers}
    headers = {name: request.headers.getall(name) for name in names}
    return Asked(request.method, request.raw_path.partition("?")[0], headers)


def not_open() -> Refusal:
    """409: a round that is over, or never was."""
    return refusals.conflict("That round is not open: ask GET /v1/rounds/current which one is.", "wrong_round")


def stated_examples(request: web.Request) -> int | None:
    """Return how many training examples a submission claims, or none where it does not say so in digits."""
    found = request.query.getall("examples", [])
    return read_examples(found[0]) if len(found) == 1 else None


async def say_nothing_yet(_request: web.Request) -> None:
    """Let a client that waits for 100 (Continue) wait until its headers were looked at (RFC 9110 section 10.1.1)."""


async def _go_on(request: web.Request) -> None:
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    # It is no answer: the real one has not begun.
    request.writer.output_size = 0


def _credentials(asked: Asked, signer: str) -> Credentials:
    shown = presented(asked)
    return as_shown(asked, signer) if isinstance(shown, Refused) else shown[0]
