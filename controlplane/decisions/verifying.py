"""Evidence verified beside everything else: in threads of its own, few at once, and never for long."""

import asyncio
import hashlib
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from controlplane.attestation.interface import Endorsement, Endorsing, EvidenceRefused, Verifier
from controlplane.attestation.members import decode_members
from controlplane.attestation.plugging import VerifierUnusable, open_verifiers
from controlplane.contracts.attestation import Claims

Result = TypeVar("Result")

AT_ONCE = 2
"""Threads that verify. The rest waits, and for no longer than `WITHIN_SECONDS`."""

MOST_WAITING = 64
"""Evidence that waits or is verified at once; more is told to come again, before it takes room here."""

WITHIN_SECONDS = 5.0
LOOK_SECONDS = 10.0
"""How often it is looked whether the files of roots and collateral are others."""


class KindUnknown(Exception):  # noqa: N818 - named for what happened
    """Evidence of a kind that is not verified here; the message names those that are."""


class NotVerified(Exception):  # noqa: N818 - a state, as callers see it
    """It cannot be said whether evidence verifies: too much waits, a verifier is slow, or roots cannot be read."""


class Verifiers:
    """The verifiers of the kinds of which there are roots.

    They follow the files: what is put there, or taken away, counts within `LOOK_SECONDS`; while something there cannot
    be used, nothing is verified.

    Args:
        folder: with a folder of roots for each kind; none where no evidence is taken.
        clock: seconds that only go forward.
        opens: opens the verifiers of a folder.

    Raises:
        VerifierUnusable: a kind of which there are roots cannot be verified.
    """

    def __init__(
        self,
        folder: Path | None,
        clock: Callable[[], float] = time.monotonic,
        opens: Callable[[Path], Mapping[str, Verifier]] = open_verifiers,
    ) -> None:
        self._folder, self._clock, self._opens = folder, clock, opens
        self._stamp = "" if folder is None else _stamp(folder)
        self._known: Mapping[str, Verifier] = {} if folder is None else opens(folder)
        self._fault = ""
        self._looked_at = clock()
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="ztfm-verify")
        self._looking = asyncio.Lock()
        self._waiting: set[Future[Any]] = set()

    @property
    def kinds(self) -> list[str]:
        """The kinds of evidence that are verified, in order."""
        return sorted(self._known)

    async def of(self, kind: str) -> Verifier:
        """Return the verifier of a kind.

        Raises:
            KindUnknown: there is none.
            NotVerified: what is in the folder of roots cannot be used.
        """
        await self._look()
        if self._fault:
            raise NotVerified(self._fault)
        verifier = self._known.get(kind)
        if verifier is None:
            there = ", ".join(self.kinds) or "none: ZTFM_ATTESTATION_ROOTS names no roots"
            raise KindUnknown(f"Evidence of kind {kind} is not verified here. Kinds that are: {there}")
        return verifier

    async def endorse(self, verifier: Verifier, endorsement: Mapping[str, str], at: float) -> Endorsement:
        """Return what a challenge carries for the platform of an endorsement, encoded, at ``at`` (Unix seconds).

        Raises:
            EvidenceRefused: nobody vouches for the platform, or its kind takes no endorsement.
            NotVerified: it cannot be said.
        """
        if not isinstance(verifier, Endorsing):
            raise EvidenceRefused("malformed", f"a challenge for {verifier.kind} takes no endorsement")
        members = decode_members(endorsement, verifier.endorsement_members)
        return await self._run(lambda: verifier.endorse(members, at))

    async def verify(
        self, verifier: Verifier, evidence: Mapping[str, str], kept: bytes | None, at: float
    ) -> tuple[Claims, float]:
        """Return what evidence, encoded, says at ``at`` (Unix seconds), and the seconds that it took to verify it.

        Raises:
            EvidenceRefused: it does not verify.
            NotVerified: it cannot be said.
        """

        def _verify() -> tuple[Claims, float]:
            began = time.perf_counter()
            members = decode_members(evidence, verifier.members)
            if kept is not None:
                if not isinstance(verifier, Endorsing):
                    raise EvidenceRefused("unbound", "its challenge was made for a platform's keys: ask for another")
                claims = verifier.verify_endorsed(members, kept, at)
            else:
                claims = verifier.verify(members, at)
            return claims, time.perf_counter() - began

        return await self._run(_verify)

    def close(self) -> None:
        """Take no more; what is under way in a thread ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], Result]) -> Result:
        # What was given up on goes on in its thread, and counts until it ends.
        self._waiting = {one for one in self._waiting if not one.done()}
        if len(self._waiting) >= MOST_WAITING:
            raise NotVerified("Too much evidence waits to be verified.")
        future = self._threads.submit(work)
        self._waiting.add(future)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), WITHIN_SECONDS)
        except TimeoutError:
            raise NotVerified(f"Evidence could not be verified within {WITHIN_SECONDS:g} s.") from None

    async def _look(self) -> None:
        if self._folder is None or self._clock() - self._looked_at < LOOK_SECONDS:
            return
        async with self._looking:
            if self._clock() - self._looked_at < LOOK_SECONDS:
                return
            folder = self._folder
            stamp = await asyncio.to_thread(_stamp, folder)
            if stamp != self._stamp or self._fault:
                try:
                    self._known = await asyncio.to_thread(self._opens, folder)
                    self._fault = ""
                except VerifierUnusable as error:
                    self._fault = f"Roots of attestation cannot be used: {error}."
            self._stamp, self._looked_at = stamp, self._clock()


def _stamp(folder: Path) -> str:
    """Return a digest of which files are in a folder, how large they are, and when they were changed."""
    found = hashlib.sha256()
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(place, name)
            try:
                state = path.stat()
                found.update(f"{path}\0{state.st_size}\0{state.st_mtime_ns}\0{state.st_ino}\n".encode())
            except OSError:
                found.update(f"{path}\0-\n".encode())
        found.update(f"{place}\0{','.join(folders)}\n".encode())
    return found.hexdigest()
