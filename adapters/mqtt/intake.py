"""Carry out what a device asks, once its message was read and is known to be new.

The broker says who sent a message, by the topic that it lets nobody else publish to. That is believed of the sender's
name alone: capabilities, proofs and digests are verified here, and once more by the guard.
"""

import asyncio
import hashlib
import logging
import os
from pathlib import Path

from adapters.credentials import Credentials, Introduction
from adapters.guard import Point, Refused
from adapters.jobs import refusals
from adapters.jobs.examining import Examined, examined, read_examples, settled, shown_amiss
from adapters.jobs.opened import OpenRound
from adapters.jobs.refusals import Refusal
from adapters.jobs.taking_part import TENSORS
from adapters.mqtt.desk import MqttDesk
from adapters.mqtt.envelope import Letter
from adapters.naming import stated_subject
from controlplane.capabilities.proof import holder_of

POINTS: dict[str, Point] = {"announce": "identify", "pull": "pull", "submit": "gate", "renew": "gate"}
"""Where in a round it is that a device asks something."""

_log = logging.getLogger("ztfm.mqtt")


class Intake:
    """Carries out what devices ask. Belongs to one event loop.

    Args:
        desk: what it shares with the job.
    """

    def __init__(self, desk: MqttDesk) -> None:
        self._desk = desk

    async def carry_out(self, device: str, letter: Letter) -> Refusal | str:
        """Return what becomes of something that a device asks: a refusal, or a word for what was done."""
        ask = letter.field("ask")
        if self._desk.is_superseded(device, letter.field("incarnation")):
            detail = "Another process with this device's key announced itself later: each device has a key of its own."
            return self.dropped(POINTS[ask], refusals.conflict(detail, "not_invited"))
        if ask == "announce":
            return await self._announce(device, letter)
        if ask == "pull":
            return await self._pull(device, letter)
        if ask == "submit":
            return await self._submit(device, letter)
        return await self._renew(device, letter)

    async def _announce(self, device: str, letter: Letter) -> Refusal | str:
        """A device introduces itself, and will be invited to the next round."""
        try:
            introduction = Introduction.from_dict(letter.fields)
        except ValueError:
            return self.dropped("identify", refusals.malformed("Send the user properties subject and proof."))
        desk, guard = self._desk, self._desk.guard
        found = await desk.line(guard.identify, introduction)
        if isinstance(found, Refused):
            return refusals.unproven(found.detail, found.cause)
        if found != device:
            return self.dropped("identify", _of_another("introduction"))
        is_listed = desk.listed is None or found in desk.listed
        if not is_listed or not await desk.line(guard.admit, [found]):
            return refusals.denied("This job has a list of members, and the device is not on it.", "not_invited")
        if found not in desk.announced and len(desk.announced) >= desk.bounds.most_members:
            return self.dropped(
                "admit", refusals.busy("As many devices as a round takes announced themselves.", "full")
            )
        if not desk.identify(found, letter.field("incarnation")):
            # One name is invited once: an earlier start of it, or whoever has the same key, has no part any more.
            await desk.line(guard.drop, "admit", "not_invited", subject=found)
        desk.announced[found] = None
        desk.news.set()
        return "announced"

    async def _pull(self, device: str, letter: Letter) -> Refusal | str:
        """A member wants the weights of the round that is open."""
        desk, opened = self._desk, self._opened(letter)
        if opened is None or opened.is_closed:
            return self.dropped("pull", not_open())
        if device not in desk.identified:
            detail = "Announce the device first, with a proof of its key."
            return self.dropped("pull", refusals.denied(detail, "wrong_subject"))
        shown = _shown(letter)
        if isinstance(shown, Refusal):
            return self.dropped("pull", shown)
        if shown.subject != device:
            return self.dropped("pull", _of_another("credentials"))
        terms, size = opened.sealed.terms, opened.sealed.manifest.size_bytes
        beyond = await desk.reception.look(shown, "model_access", terms, size_bytes=size)
        if beyond is not None:
            return self.dropped("pull", refusals.of(beyond))
        if self._has_tried_enough(opened, device, "pull"):
            return self.dropped("pull", refusals.too_many())
        allowed = await desk.line(desk.guard.authorize_pull, opened.sealed, shown)
        return refusals.of(allowed) if isinstance(allowed, Refused) else "weights"

    async def _submit(self, device: str, letter: Letter) -> Refusal | str:
        """A member sends its update, once."""
        desk, opened = self._desk, self._opened(letter)
        if opened is None or opened.is_closed:
            return self.dropped("gate", not_open())
        if not opened.sealed.has_member(device):
            detail = "The device is no member of this round: announce it before the next one."
            return self.dropped("gate", refusals.denied(detail, "wrong_subject"))
        if self._has_tried_enough(opened, device, "submit"):
            return self.dropped("gate", refusals.too_many())
        if device in opened.taken or device in opened.sending:
            desk.ledger.member("gate", "replayed", device, opened.id)
            return refusals.conflict("The device sent its update already.", "replayed")
        opened.sending.add(device)
        try:
            refusal = await self._take(device, letter, opened)
        finally:
            opened.sending.discard(device)
        if refusal is not None:
            return refusal
        desk.news.set()
        return "taken"

    async def _take(self, device: str, letter: Letter, opened: OpenRound) -> Refusal | None:
        path, is_kept = opened.new_path(), False
        shown, examples = _as_shown(letter), read_examples(letter.field("examples"))
        try:
            refusal = await self._checked(device, letter, opened, examples) or await _stored(letter, path)
            found = Examined(refusal=refusal)
            if refusal is None:
                found = await examined(self._desk.reception, opened, shown, path)
            # Since the last wait nothing else has run: what is taken in now is in time.
            if opened.is_closed:
                return not_open()
            is_kept = settled(opened, found, path, sender=device, examples=examples or 0, shown=shown)
            return found.refusal
        finally:
            if not is_kept:
                path.unlink(missing_ok=True)

    async def _checked(self, device: str, letter: Letter, opened: OpenRound, examples: int | None) -> Refusal | None:
        """Return what is wrong with a submission before its tensors are looked at."""
        if letter.content_type != TENSORS:
            return refusals.media_type([TENSORS])
        if len(letter.payload) > opened.limit_bytes:
            return refusals.over_limit(opened.limit_bytes)
        if examples is None:
            return refusals.malformed("Say on how many examples the device trained: user property 'examples'.")
        shown = _shown(letter)
        if isinstance(shown, Refusal):
            return shown
        return await shown_amiss(self._desk.reception, opened, shown, device)

    async def _renew(self, device: str, letter: Letter) -> Refusal | str:
        """A member shows fresh credentials for an update whose own ran out meanwhile."""
        opened = self._opened(letter)
        if opened is None:
            return self.dropped("gate", not_open())
        shown = _shown(letter)
        if isinstance(shown, Refusal):
            return self.dropped("gate", shown)
        taken = opened.taken.get(device)
        if shown.subject != device:
            return self.dropped("gate", _of_another("credentials"))
        if taken is None or (opened.is_closed and device not in opened.stale):
            detail = "No update of this device waits for credentials."
            return self.dropped("gate", refusals.conflict(detail, "absent"))
        beyond = await self._desk.reception.look(
            shown, "gradient_submission", opened.sealed.terms, digest=taken.digest, size_bytes=taken.size_bytes
        )
        if beyond is not None:
            return self.dropped("gate", refusals.of(beyond))
        opened.renew(device, shown)
        self._desk.news.set()
        return "renewed"

    def _opened(self, letter: Letter) -> OpenRound | None:
        opened = self._desk.current
        return opened if opened is not None and letter.field("round") == opened.id else None

    def _has_tried_enough(self, opened: OpenRound, device: str, kind: str) -> bool:
        if not opened.sealed.has_member(device):
            return False
        opened.tries[device, kind] += 1
        return opened.tries[device, kind] > self._desk.bounds.tries

    def dropped(self, point: Point, refusal: Refusal) -> Refusal:
        """Count a refusal of somebody who has not proven to be a member, and return it."""
        self._desk.ledger.stranger(point, refusal.cause)
        return refusal


def not_open() -> Refusal:
    """409: a round that is over, or never was."""
    return refusals.conflict("That round is not open: the job's topic says which one is.", "wrong_round")


def _of_another(what: str) -> Refusal:
    return refusals.denied(f"The {what} is another device's than the topic's.", "wrong_subject")


def _as_shown(letter: Letter) -> Credentials:
    """Return what a message shows as it came; nothing of it is verified."""
    return Credentials(letter.field("subject"), letter.field("capability"), letter.field("proof"))


def _shown(letter: Letter) -> Credentials | Refusal:
    """Return a message's credentials where the key of their proof can be that of their name; nothing is verified."""
    shown = _as_shown(letter)
    if not shown.capability or not shown.proof:
        detail = "Send the user properties subject, capability and proof."
        return refusals.unproven(detail, "proof_missing")
    holder = holder_of(shown.proof)
    if holder is None:
        return refusals.unproven("The proof is no dpop+jwt that shows a P-256 key.", "proof_malformed")
    if shown.subject != stated_subject(shown.capability, holder[1]):
        return refusals.denied("The proof is of another key than the subject's.", "wrong_subject")
    return shown


async def _stored(letter: Letter, path: Path) -> Refusal | None:
    """Write an update to a new file of mode 0600, or return what is wrong with it."""
    payload = letter.payload
    if hashlib.sha256(payload).hexdigest() != letter.field("content"):
        detail = "The payload is not what 'content' says (SHA-256, in hexadecimal): it was changed on its way."
        return refusals.unfit(detail, "broken")
    try:
        await asyncio.to_thread(_write, path, payload)
    except OSError as error:
        _log.error("an update could not be stored: %s", error)
        return refusals.busy("The update could not be stored.", "unavailable")
    return None


def _write(path: Path, payload: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(payload)
