"""Readiness: whether the policy engine answers with an active policy, and whether the store can be used."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

from controlplane.api.services import Readiness
from controlplane.contracts.policies import PolicyStanding
from controlplane.decisions.engine import BatchFault, BatchTransport
from controlplane.storage import StoreUnavailable

PROBE_TIMEOUT_SECONDS = 1.0
FRESH_SECONDS = 0.25
EVERY_SECONDS = 1.0
HUNG_SECONDS = 10.0


class ReadinessProbe:
    """Asks each part, once for all who want to know; answers are kept for a quarter of a second.

    So probing is never a load, whoever probes.

    Args:
        transport: carries an empty batch to the engine.
        ping: returns when the store can be used.
        examine_key: says ``ok``, or what is wrong with the signing key; may read a file.
        on_revision: told the revision that decides.
        policies: says where the layers stand when a revision decides.
        published_at: says when a revision was published, Unix seconds.
        now: Unix seconds.
        clock: seconds, monotonic.
        engine: by whose name its state is told.
    """

    def __init__(
        self,
        transport: BatchTransport,
        ping: Callable[[], Awaitable[None]],
        examine_key: Callable[[], str],
        on_revision: Callable[[str], None],
        *,
        policies: Callable[[str], PolicyStanding],
        published_at: Callable[[str], float | None],
        now: Callable[[], float],
        clock: Callable[[], float],
        engine: Literal["opa", "embedded"] = "opa",
    ) -> None:
        self._transport = transport
        self._ping = ping
        self._examine_key = examine_key
        self._on_revision = on_revision
        self._policies = policies
        self._published_at = published_at
        self._now = now
        self._clock = clock
        self._engine = engine
        self._last: tuple[float, Readiness] | None = None
        self._probing: asyncio.Task[Readiness] | None = None

    async def __call__(self) -> Readiness:
        """Return the state of the parts, at most a quarter of a second old."""
        if self._last is not None and self._clock() - self._last[0] < FRESH_SECONDS:
            return self._last[1]
        if self._probing is None:
            self._probing = asyncio.create_task(self._probe())
        # One caller's cancellation must not cancel the answer of the others.
        return await asyncio.shield(self._probing)

    async def watch(
        self,
        on_state: Callable[[bool], None],
        on_hung: Callable[[], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Probe once a second, for ever.

        Args:
            on_state: told each time whether all parts are there.
            on_hung: called when the engine has not answered for ten seconds, and again after as many more.
            sleep: waits between two probes.
        """
        hung_since: float | None = None
        while True:
            state = await self()
            on_state(state.ready)
            now = self._clock()
            if state.checks[self._engine] != "deadline":
                hung_since = None
            elif hung_since is None:
                hung_since = now
            elif now - hung_since >= HUNG_SECONDS:
                hung_since = None
                on_hung()
            await sleep(EVERY_SECONDS)

    async def _probe(self) -> Readiness:
        try:
            (engine, revision), store, key = await asyncio.gather(
                self._ask_engine(), self._ask_store(), asyncio.to_thread(self._examine_key)
            )
        finally:
            self._probing = None
        policies = self._policies(revision)
        checks = {self._engine: engine, "policy": _examine(policies), "store": store, "signing_key": key}
        published_at = self._published_at(revision)
        age = None if published_at is None else max(0.0, self._now() - published_at)
        state = Readiness(all(what == "ok" for what in checks.values()), checks, revision, age, policies)
        self._last = (self._clock(), state)
        return state

    async def _ask_engine(self) -> tuple[str, str]:
        try:
            answer = await self._transport.send(b'{"input":{}}', PROBE_TIMEOUT_SECONDS)
        except BatchFault as fault:
            reached = fault.cause in {"undefined", "malformed"}
            return ("ok" if reached else fault.cause), ""
        self._on_revision(answer.revision)
        return "ok", answer.revision

    async def _ask_store(self) -> str:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
                await self._ping()
        except (StoreUnavailable, TimeoutError):
            return "cannot be used"
        return "ok"


def _examine(policies: PolicyStanding) -> str:
    """Say ``ok`` when every layer that is to decide does, by whichever revision."""
    for standing in policies.layers:
        if standing.is_expected and not standing.active_revision:
            why = f"{standing.refusal.reason}: what was released is refused" if standing.refusal else ""
            return f"no verified policy is active for {standing.layer}" + (f" ({why})" if why else "")
    return "ok"
