"""A witness's own copy of the hashes of a log's entries: with it, it can say which entry was changed.

The hashes say nothing of the entries. They are taken only if they lead to the head that was signed.
"""

import asyncio
import logging
from collections.abc import Mapping

import aiohttp
from pydantic import ValidationError

from controlplane.transparency.checkpoints import Checkpoint
from controlplane.transparency.merkle import Peaks
from controlplane.transparency.proofs import MOST_LEAVES, Leaves, LoggedEntries, from_hex
from controlplane.witness.memory import Memory

_log = logging.getLogger("ztfm.witness")

ANSWER_SECONDS = 10.0
MOST_WAIT_SECONDS = 5.0
MOST_TRIES = 10
_MOST_ANSWER = 1024 * 1024


class NotMirrored(Exception):  # noqa: N818 - named for what happened
    """The hashes could not be had, or do not lead to the head."""


class Mirror:
    """Copies the hashes of logs' entries.

    Args:
        memory: of the witness.
        urls: by origin, where the control plane that keeps the log answers.
        session: HTTP.
    """

    def __init__(self, memory: Memory, urls: Mapping[str, str], session: aiohttp.ClientSession) -> None:
        self._memory = memory
        self._urls = {origin: url.rstrip("/") for origin, url in urls.items()}
        self._session = session
        self._peaks: dict[str, Peaks] = {}

    def watches(self, origin: str) -> bool:
        """Whether hashes of this log can be had."""
        return origin in self._urls

    async def follow(self, head: Checkpoint) -> None:
        """Copy what was added up to a head that was signed.

        Raises:
            NotMirrored: it could not be had, or does not lead to the head; nothing of it is kept.
        """
        peaks = await asyncio.to_thread(self._known, head.origin)
        if peaks.size >= head.size:
            return
        known, grown = peaks.size, peaks.copy()
        hashes = await self._fetch(head.origin, known, head.size)
        await asyncio.to_thread(grown.extend, hashes)
        if grown.root != head.root:
            raise NotMirrored(f"the hashes that {head.origin} shows do not lead to its head of {head.size} entries")
        await asyncio.to_thread(self._memory.keep_leaves, head.origin, known, hashes)
        self._peaks[head.origin] = grown

    async def first_difference(self, origin: str) -> tuple[int, str] | None:
        """Return the first entry that the log shows otherwise than before and what it now calls it, or none."""
        known = self._memory.mirrored(origin)
        start = 0
        while start < known:
            count = min(MOST_LEAVES, known - start)
            before = self._memory.leaves(origin, start, count)
            now = await self._some(origin, start, count)
            for place, one in enumerate(before):
                if place >= len(now) or now[place] != one:
                    return start + place, await self._named(origin, start + place)
            start += count
        return None

    def _known(self, origin: str) -> Peaks:
        """Return the tree over what is copied; it is built anew once, after a start."""
        peaks = self._peaks.setdefault(origin, Peaks())
        while some := self._memory.leaves(origin, peaks.size, MOST_LEAVES):
            peaks.extend(some)
        return peaks

    async def _fetch(self, origin: str, start: int, end: int) -> list[bytes]:
        found: list[bytes] = []
        while start + len(found) < end:
            some = await self._some(origin, start + len(found), min(MOST_LEAVES, end - start - len(found)))
            if not some:
                raise NotMirrored(f"{origin} shows fewer entries than its head has")
            found += some
        return found

    async def _some(self, origin: str, start: int, count: int) -> list[bytes]:
        raw = await self._get(origin, f"/v1/log/leaves?start={start}&count={count}")
        try:
            return from_hex(Leaves.model_validate_json(raw).hashes)
        except ValidationError:
            raise NotMirrored(f"{origin} answered with something else than hashes") from None

    async def _named(self, origin: str, place: int) -> str:
        try:
            raw = await self._get(origin, f"/v1/log/entries?start={place}&count=1")
            found = LoggedEntries.model_validate_json(raw).entries
        except (NotMirrored, ValidationError):
            return ""
        return f"{found[0].entry.kind} {found[0].entry.id}" if found else ""

    async def _get(self, origin: str, path: str) -> bytes:
        for _ in range(MOST_TRIES):
            status, raw, wait = await self._ask(origin, path)
            if status == 200:
                return raw
            if status != 429:
                break
            # A log that is copied from the beginning takes more than strangers are allowed at once.
            await asyncio.sleep(wait)
        raise NotMirrored(f"{origin} answered {status} to {path.partition('?')[0]}")

    async def _ask(self, origin: str, path: str) -> tuple[int, bytes, float]:
        """Return status, body, and for how many seconds to wait where too much was asked."""
        try:
            async with self._session.get(self._urls[origin] + path, allow_redirects=False) as answer:
                stated = answer.headers.get("Retry-After", "")
                wait = min(float(stated), MOST_WAIT_SECONDS) if stated.isascii() and stated.isdigit() else 1.0
                return answer.status, await answer.content.read(_MOST_ANSWER), wait
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise NotMirrored(f"{origin} does not answer ({type(error).__name__})") from None
