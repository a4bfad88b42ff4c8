"""Inferences as gateways report them, judged: each subject's window against those of who uses the same model."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from controlplane.behavior.requests import InferenceScores, Reported, UseProfile
from controlplane.contracts.identity import Device
from controlplane.contracts.signals import InferenceSignals, SignalsTaken
from controlplane.decisions.responding import Observation, Responder
from controlplane.decisions.watching.profiles import ProfileBook
from controlplane.decisions.watching.uses import Uses
from controlplane.identity.registry import Registry
from controlplane.storage.profiles import Profiles

MODELS_AT_ONCE = 4
"""Windows of one subject in one report that count, each of another model."""


class Unjudged(Exception):  # noqa: N818 - a state, as callers see it
    """Policy does not say how behaviour is judged; nothing was counted."""


class SignalObserver(Protocol):
    """Counts what is reported."""

    def signals_taken(self, passed_over: int, injections: int, secrets: int) -> None:
        """A report came: windows that do not count, and what was flagged in the queries of those that do."""
        ...

    def windows_judged(self, channel: str, scores: list[float], lost: int) -> None:
        """Windows were judged by these scores; so many others were not, because of a fault."""
        ...


class SignalWatch:
    """Has reported windows judged.

    Args:
        responder: judges and responds.
        profiles: keeps what is usual for subjects.
        registry: knows subjects.
        observer: counts.
        clock: Unix seconds.
        uses: who was allowed to use which model lately.
    """

    def __init__(
        self,
        responder: Responder,
        profiles: Profiles,
        registry: Registry,
        observer: SignalObserver,
        clock: Callable[[], float],
        uses: Uses,
    ) -> None:
        self._responder = responder
        self._profiles = ProfileBook(profiles, "inference", UseProfile)
        self._registry = registry
        self._observer = observer
        self._clock = clock
        self._uses = uses
        self._scores = InferenceScores()

    async def report(self, reporter: str, signals: Sequence[InferenceSignals]) -> SignalsTaken:
        """Judge what a gateway reports, as far as policy allowed it: what nobody may have done, nobody is judged for.

        A window is taken note of before it is judged, so that it counts once however often it comes, and at most once
        where judging fails.

        Args:
            reporter: the gateway.
            signals: windows, in any order.

        Raises:
            Unjudged: policy does not say how to judge.
            Contended: others changed the same subjects again and again.
            StoreUnavailable: the store failed.
        """
        in_force = await self._responder.in_force()
        if in_force is None:
            raise Unjudged("policy does not say how behaviour is judged")
        devices = await self._devices({one.subject for one in signals})
        used = await self._uses.of(devices)
        credible = [
            one
            for one in signals
            if one.subject in devices
            and one.seconds >= in_force.terms.observation_seconds
            and used.holds(one.subject, one.model, one.started_at)
        ]
        judged = [one for wave in _waves(credible) for one in await self._judge(reporter, wave, devices)]
        self._observer.signals_taken(
            len(signals) - len(judged),
            sum(one.injections for one in judged),
            sum(one.secrets for one in judged),
        )
        return SignalsTaken(judged=len(judged), passed_over=len(signals) - len(judged))

    async def _devices(self, names: set[str]) -> dict[str, Device]:
        ordered = sorted(names)
        found = await asyncio.gather(*map(self._registry.get, ordered))
        return {device.id: device for device in found if device is not None and device.status == "active"}

    async def _judge(
        self, reporter: str, wave: Sequence[InferenceSignals], devices: dict[str, Device]
    ) -> list[InferenceSignals]:
        opened = await self._profiles.open({one.subject for one in wave})
        now = self._clock()
        reported = [
            Reported(one, devices[one.subject].segment, opened.profiles.get(one.subject) or UseProfile())
            for one in wave
        ]
        fresh = [one for one in reported if one.profile.is_fresh(reporter, one.signals, now)]
        found = self._scores.score(reporter, fresh)
        after = {one.signals.subject: profile for one, (_, profile) in zip(fresh, found, strict=True)}
        stale = await self._profiles.replace(opened, after, now)
        counted = [
            (one, scored) for one, (scored, _) in zip(fresh, found, strict=True) if one.signals.subject not in stale
        ]
        observations = [
            Observation(devices[one.signals.subject], scored.score, one.peers, scored.attribution)
            for one, scored in counted
            if scored.score is not None
        ]
        if await self._responder.observe("inference", observations) is None:
            raise Unjudged("policy does not say how behaviour is judged")
        self._observer.windows_judged("inference", [one.score for one in observations], 0)
        return [one.signals for one, _ in counted]


def _waves(signals: Sequence[InferenceSignals]) -> list[list[InferenceSignals]]:
    """Return the windows in parts, each subject once in each, in order of time; what is too many is left out."""
    waves: list[list[InferenceSignals]] = [[] for _ in range(MODELS_AT_ONCE)]
    seen: dict[str, set[str]] = {}
    for one in sorted(signals, key=lambda one: one.started_at):
        models = seen.setdefault(one.subject, set())
        if one.model not in models and len(models) < MODELS_AT_ONCE:
            waves[len(models)].append(one)
            models.add(one.model)
    return [wave for wave in waves if wave]
