"""Have a broker hold what policy says of topics: asked for each name, withdrawn at once when somebody is set apart.

A keeper is an enforcement point of its own, enrolled as a gateway. What policy allows is given at the broker for as
long as the decision may be relied on, and asked for anew before. Without an answer, or without news of revocations for
ten seconds, topics are taken away.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from adapters.client import ControlPlane
from adapters.credentials import subject_of
from adapters.errors import ControlPlaneError, Unavailable
from adapters.feed import MAX_SILENCE_SECONDS, RevocationFeed
from adapters.mqtt.dynamic import DynamicSecurity
from adapters.mqtt.topics import RESOURCE, Use, job_topic, uses_of_aggregator, uses_of_device
from adapters.serversent import ServerEvent
from controlplane.capabilities.revocations import is_ending
from controlplane.contracts.access import AnyAction, AnyResource, EvaluationRequest
from controlplane.contracts.events import OpaqueSubject, SecurityEventClaims
from controlplane.contracts.search import Page, SearchedSubject, SubjectSearch

_AT_ONCE = 32
"""Names in one batch of questions: three each, of at most a hundred."""

_TICK_SECONDS = 0.5
_DENIED_SECONDS = 10.0
_FAILED_SECONDS = 1.0
_SEARCH_SECONDS = 30.0
_FIRST_WORD_SECONDS = 10.0
_MOST_NAMES = 10_000

_log = logging.getLogger("ztfm.mqtt")


@dataclass
class _Name:
    """What is known of somebody.

    Attributes:
        wanted: what it needs.
        held: what the broker lets it do.
        until: when what policy allowed runs out, Unix seconds.
        ask_at: when policy is asked again.
        ended: events that ended all that it had.
        is_cut: such an event took topics from it, and it has had none since.
    """

    wanted: Sequence[Use]
    held: frozenset[Use] = frozenset()
    until: float = 0.0
    ask_at: float = 0.0
    ended: int = 0
    is_cut: bool = False


class _Feed(RevocationFeed):
    """Also tells of whom each event was that held."""

    def __init__(
        self, plane: ControlPlane, issuer: str, silence: float, told: Callable[[SecurityEventClaims], None]
    ) -> None:
        super().__init__(plane, issuer=issuer, max_silence_seconds=silence, clock=plane.clock)
        self._told = told

    async def _take(self, event: ServerEvent) -> None:
        self._held: SecurityEventClaims | None = None
        await super()._take(event)
        if self._held is not None and self._held.events.verification is None:
            self._told(self._held)

    def _verify(self, event: ServerEvent, sequence: int | None) -> SecurityEventClaims | str:
        found = super()._verify(event, sequence)
        self._held = None if isinstance(found, str) else found
        return found


class TopicKeeper:
    """Keeps the topics of one job's members at a broker. An asynchronous context manager.

    Args:
        plane: the control plane, spoken to as a gateway; asked, and followed.
        security: the broker's plugin, which knows this gateway as its keeper.
        audience: the enforcement point whose topics are kept.
        aggregator: name of the enrolled aggregator that runs the job.
        listed: names of devices that may be given topics; none for all that policy allows, found by searching.
        issuer: whose events are believed; none for the control plane's URL.
        max_silence_seconds: without news of revocations for so long all topics are taken away.
        clock: Unix seconds.

    Attributes:
        counts: of ``granted``, ``withdrawn``, ``denied`` and ``unanswered``.
    """

    def __init__(
        self,
        plane: ControlPlane,
        security: DynamicSecurity,
        *,
        audience: str,
        aggregator: str,
        listed: Iterable[str] | None = None,
        issuer: str | None = None,
        max_silence_seconds: float = MAX_SILENCE_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._plane = plane
        self._security = security
        self._audience = audience
        self._is_listed = listed is not None
        self._clock = clock
        self._feed = _Feed(plane, issuer or plane.url, max_silence_seconds, self._told)
        self._names = {aggregator: _Name(uses_of_aggregator(audience))}
        for name in listed or ():
            self._know(name)
        self._search_at = 0.0
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._cuts: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Take every topic from all subjects that the broker knows, then give what policy allows.

        Clients of other names than subjects have are somebody else's, and are left alone.

        Raises:
            Unavailable: the broker does not let this gateway keep its topics.
        """
        known = await asyncio.to_thread(self._security.names)
        others = [name for name in known if name.startswith(subject_of("")) and name != self._security.keeper]
        await asyncio.to_thread(self._security.withdraw, others)
        await self._feed.start(_FIRST_WORD_SECONDS)
        self._task = asyncio.create_task(self._run(), name="ztfm-topics")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take all topics away: nobody would notice any more that somebody was revoked."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._feed.close()
        await asyncio.gather(*self._cuts, return_exceptions=True)
        with suppress(Unavailable):
            await self._withdraw([name for name, one in self._names.items() if one.held])

    def holds(self, name: str) -> frozenset[Use]:
        """Return what the broker lets somebody do, as far as this keeper knows."""
        found = self._names.get(name)
        return frozenset() if found is None else found.held

    def has_ended(self, name: str) -> bool:
        """Whether somebody lost its topics because it was set apart or revoked, and has none now."""
        found = self._names.get(name)
        return found is not None and found.is_cut

    def _know(self, name: str) -> None:
        if len(self._names) < _MOST_NAMES:
            self._names.setdefault(name, _Name(uses_of_device(self._audience, name)))

    def _told(self, event: SecurityEventClaims) -> None:
        """Have topics taken at once from whoever an event ends, and policy asked about whoever it is about."""
        about = event.sub_id
        concerned = list(self._names)
        if isinstance(about, OpaqueSubject) and event.events.reset is None:
            concerned = [about.id] if about.id in self._names else []
            if concerned and is_ending(event):
                one = self._names[about.id]
                one.ended, one.is_cut = one.ended + 1, one.is_cut or bool(one.held)
                cut = asyncio.get_running_loop().create_task(self._cut(about.id))
                self._cuts.add(cut)
                cut.add_done_callback(self._cuts.discard)
        for name in concerned:
            self._names[name].ask_at = 0.0
        self._woken.set()

    async def _cut(self, name: str) -> None:
        try:
            await self._withdraw([name])
        except Unavailable as error:
            self._names[name].until = 0.0
            _log.warning("the topics of %s could not be taken at once; trying on: %s", name, error)

    async def _run(self) -> None:
        while True:
            try:
                await self._turn()
            except ControlPlaneError as error:
                _log.warning("topics could not be kept now; trying on: %s", error)
                await asyncio.sleep(_FAILED_SECONDS)
            except Exception:  # noqa: BLE001 - logged, tried again, and what was given runs out
                _log.exception("an unexpected fault while keeping topics")
                await asyncio.sleep(_FAILED_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(_TICK_SECONDS):
                    await self._woken.wait()
            self._woken.clear()

    async def _turn(self) -> None:
        """Do once whatever there is to do."""
        now, is_current = self._clock(), self._feed.is_current
        over = [name for name, one in self._names.items() if one.held and (not is_current or one.until <= now)]
        await self._withdraw(over)
        if not is_current:
            return
        await asyncio.to_thread(self._security.tend)
        if not self._is_listed and now >= self._search_at:
            await self._search()
            self._search_at = now + _SEARCH_SECONDS
        due = [name for name, one in self._names.items() if one.ask_at <= now]
        for begin in range(0, len(due), _AT_ONCE):
            await self._ask(due[begin : begin + _AT_ONCE])

    async def _search(self) -> None:
        """Find devices that may read how the job stands."""
        token: str | None = None
        while True:
            found = await self._plane.search_subjects(
                SubjectSearch(
                    subject=SearchedSubject(type="device"),
                    action=AnyAction(name="subscribe"),
                    resource=AnyResource(type=RESOURCE, id=job_topic(self._audience)),
                    page=Page() if token is None else Page(token=token),
                )
            )
            for one in found.results:
                self._know(one.id)
            token = found.page.next_token
            if not token or len(self._names) >= _MOST_NAMES:
                return

    async def _ask(self, names: Sequence[str]) -> None:
        """Ask policy about names, and give or take what it says."""
        asked = [(name, use) for name in names for use in self._names[name].wanted]
        ended = {name: self._names[name].ended for name in names}
        for name in names:
            self._names[name].ask_at = self._clock() + _FAILED_SECONDS
        try:
            answers = await self._plane.evaluate_many([_question(name, use) for name, use in asked])
        except ControlPlaneError:
            self.counts["unanswered"] += len(names)
            raise
        allowed: dict[str, set[Use]] = {name: set() for name in names}
        lasts: dict[str, float] = {}
        unanswered: set[str] = set()
        for (name, use), answer in zip(asked, answers, strict=True):
            if answer.allowed:
                allowed[name].add(use)
                lasts[name] = min(lasts.get(name, answer.ttl_seconds), answer.ttl_seconds)
            elif answer.outcome == "error":
                unanswered.add(name)
        for name in names:
            if name in unanswered:
                # What was given before runs out by itself.
                self.counts["unanswered"] += 1
            elif self._names[name].ended == ended[name]:
                await self._settle(name, frozenset(allowed[name]), lasts.get(name, 0.0))

    async def _settle(self, name: str, uses: frozenset[Use], lasts: float) -> None:
        one, now = self._names[name], self._clock()
        one.ask_at = now + (lasts / 2 if uses else _DENIED_SECONDS)
        if not uses:
            self.counts["denied"] += 1
            await self._withdraw([name] if one.held else [])
            return
        if uses != one.held:
            ended = one.ended
            # Should it fail half-way, it is taken away in the next turn.
            one.held, one.until = uses, 0.0
            await asyncio.to_thread(self._security.grant, name, uses)
            self.counts["granted"] += 1
            if one.ended != ended:
                await self._withdraw([name])
                return
        one.until, one.is_cut = now + lasts, False

    async def _withdraw(self, names: Sequence[str]) -> None:
        if not names:
            return
        await asyncio.to_thread(self._security.withdraw, list(names))
        for name in names:
            self._names[name].held = frozenset()
            self._names[name].ask_at = 0.0
        self.counts["withdrawn"] += len(names)
        _log.info("topics were taken from %d names", len(names))


def _question(name: str, use: Use) -> Any:
    # The client's own signature names the product's actions alone; the control plane takes any.
    return EvaluationRequest.model_validate(
        {
            "subject": {"type": "device", "id": name},
            "action": {"name": use[0]},
            "resource": {"type": RESOURCE, "id": use[1]},
        }
    )
