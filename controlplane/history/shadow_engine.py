"""Ask a candidate's OPA where it lies, whichever process started it and however often it was started anew."""

import asyncio
import time
from pathlib import Path

from controlplane.contracts.shadow import Shadow
from controlplane.decisions.coalescing import Coalescer, CoalescingLimits
from controlplane.decisions.engine import Answer, Answered, BatchFault, Unanswered
from controlplane.decisions.opa import OpaAddress, OpaTransport
from controlplane.history.engine import NOTHING, Unwatched
from controlplane.history.shadow import BATCH, CAPACITY
from controlplane.releases.revisions import split

LIMITS = CoalescingLimits(batch=BATCH, in_flight=1, queue=CAPACITY, deadline_seconds=2.0)

RUNS_FOR = "candidate"
"""File with the id of the candidate that the OPA beside it runs for."""


class ShadowEngine:
    """A `PolicyEngine` that answers by one revision of the base, and by every layer below it, and by nothing else.

    Args:
        folder: of the OPA: its socket, its token, and which candidate it runs for; nothing of it need be there yet.
        shadow: the candidate.
    """

    def __init__(self, folder: Path, shadow: Shadow) -> None:
        self._folder = folder
        self._shadow = shadow
        self._token = ""
        self._transport: OpaTransport | None = None
        self._engine: Coalescer | None = None

    async def refresh(self) -> None:
        """Take up the OPA that is there now."""
        token = await asyncio.to_thread(self._read)
        if token == self._token:
            return
        await self.close()
        self._token = token
        if token:
            self._transport = OpaTransport(OpaAddress(token=token, socket=self._folder / "opa.sock"), connections=1)
            self._engine = Coalescer(self._transport, Unwatched(), clock=time.monotonic, limits=LIMITS)

    async def decides(self) -> bool:
        """Whether the candidate decides at this moment."""
        await self.refresh()
        if self._transport is None:
            return False
        try:
            answer = await self._transport.send(NOTHING, LIMITS.deadline_seconds)
        except BatchFault:
            return False
        return self._is_candidates(answer.revision)

    async def ask(self, package: str, facts: bytes) -> Answer:
        """Return the candidate's answer; see `PolicyEngine.ask`."""
        if self._engine is None:
            return Unanswered("unreachable")
        answer = await self._engine.ask(package, facts)
        if isinstance(answer, Answered) and not self._is_candidates(answer.revision):
            return Unanswered("undefined")
        return answer

    async def close(self) -> None:
        """Close the connection."""
        engine, transport = self._engine, self._transport
        self._engine = self._transport = None
        self._token = ""
        if engine is not None and transport is not None:
            try:
                await engine.close()
            finally:
                await transport.close()

    def _is_candidates(self, revision: str) -> bool:
        # A layer that is not there yet denies everything, which is no answer of the candidate's.
        layers = split(revision)
        return layers["base"] == self._shadow.revision and all(layers.values())

    def _read(self) -> str:
        try:
            runs_for = (self._folder / RUNS_FOR).read_text()
            return (self._folder / "opa-token").read_text().strip() if runs_for == self._shadow.id else ""
        except OSError:
            return ""
