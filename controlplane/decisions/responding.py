"""Respond to behaviour: what was judged is decided on, then kept, whoever else writes at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from controlplane.behavior import Judged, Known, Peer
from controlplane.contracts.behaviour import Attribution, Channel
from controlplane.contracts.identity import Device, Trust
from controlplane.contracts.observed import Kept, Observed
from controlplane.contracts.rollback import Contribution
from controlplane.decisions.behaviour_terms import InForce
from controlplane.decisions.responses import Before, Case, Decides, Response, is_unremarkable, respond, unmoved
from controlplane.decisions.turns import in_turns

ATTEMPTS = 5
"""How often what somebody else changed meanwhile is judged anew, before giving up."""


class Contended(Exception):  # noqa: N818 - a state, as callers see it
    """Others changed the same subjects again and again; nothing was kept."""


class Terms(Protocol):
    """Says by which terms behaviour is judged; `decisions.behaviour_terms` does."""

    async def in_force(self) -> InForce | None:
        """Return them; none while policy does not say."""
        ...


class Records(Protocol):
    """What is kept of behaviour; `storage.behaviour` does."""

    async def kept(self, subjects: Collection[str]) -> dict[str, Kept]:
        """Return what is kept of subjects, by name; who is not registered is absent."""
        ...


class Scores(Protocol):
    """Earlier observations; `storage.observations` has them."""

    async def recent(
        self, channel: Channel, peers: str, rounds: int | None = None, *, apart_from: str = ""
    ) -> list[tuple[str, float]]:
        """Return subjects and scores of a class's latest observations."""
        ...


class Contributed(Protocol):
    """Who contributed to which model; `storage.contributions` knows."""

    async def rounds_of(self, subjects: Collection[str]) -> dict[str, dict[str, int]]:
        """Return to how many rounds subjects contributed, by subject and model."""
        ...


class Registry(Protocol):
    """Keeps what becomes of subjects; `identity.registry` does."""

    async def record_behaviour(
        self, observed: Sequence[Observed], contributions: Sequence[Contribution] = ()
    ) -> frozenset[str]:
        """Keep it in one transaction, or return who was changed meanwhile."""
        ...


class Orders(Protocol):
    """Has contributions undone; `decisions.rollbacks` does."""

    async def order(self, subject: str, model: str, rounds: int, decision_id: str) -> object:
        """Order that a subject's updates to a model's latest rounds be undone."""
        ...


class ResponseObserver(Protocol):
    """Counts responses."""

    def responded(self, response: Response) -> None:
        """One was kept."""
        ...


@dataclass(frozen=True, slots=True)
class Observation:
    """One observation of a subject in another channel than updates.

    Attributes:
        device: whose behaviour it is.
        score: how much it deviates, 0 for not at all.
        peers: class of those it is compared with.
        attribution: of the deviation.
    """

    device: Device
    score: float
    peers: str
    attribution: Attribution | None = None


Judging = Callable[[Mapping[str, Kept]], Awaitable[Mapping[str, Judged | None]]]
Then = Callable[[Mapping[str, Response]], Awaitable[Sequence[Contribution]]]


async def _nothing(_responses: Mapping[str, Response]) -> Sequence[Contribution]:
    return ()


class Responder:
    """The one way from a judgement to where its subject stands.

    Args:
        terms: by which is judged.
        records: what is kept of subjects.
        scores: of earlier observations.
        contributed: who contributed to which model.
        registry: keeps what becomes of subjects.
        decider: decides.
        orders: has contributions undone.
        observer: counts.
        clock: Unix seconds.
        newcomer: trust of a subject of which nothing is known; one that comes out of quarantine has it again.
    """

    def __init__(
        self,
        terms: Terms,
        records: Records,
        scores: Scores,
        contributed: Contributed,
        registry: Registry,
        decider: Decides,
        orders: Orders,
        observer: ResponseObserver,
        clock: Callable[[], float],
        newcomer: Trust,
    ) -> None:
        self._terms, self._records, self._scores, self._contributed = terms, records, scores, contributed
        self._registry, self._decider, self._orders, self._observer = registry, decider, orders, observer
        self._clock, self._newcomer = clock, newcomer

    async def in_force(self) -> InForce | None:
        """Return the terms by which behaviour is judged now; none while policy does not say, and nothing is judged."""
        return await self._terms.in_force()

    async def peers(
        self, channel: Channel, classes: Collection[str], rounds: int | None = None, *, apart_from: str = ""
    ) -> dict[str, list[Peer]]:
        """Return the latest observations of classes, as `storage.observations` finds them."""
        names = list(dict.fromkeys(classes))
        found = await asyncio.gather(
            *(self._scores.recent(channel, name, rounds, apart_from=apart_from) for name in names)
        )
        return {name: [Peer(*one) for one in some] for name, some in zip(names, found, strict=True)}

    async def observe(self, channel: Channel, observations: Sequence[Observation]) -> dict[str, Response] | None:
        """Judge observations of another channel than updates, decide, and keep what comes of it.

        Args:
            channel: where they were made.
            observations: each subject once.

        Returns:
            The response to each, by subject; none, with nothing changed, while policy does not say how to judge.

        Raises:
            Contended: others changed the same subjects again and again.
            StoreUnavailable: the store failed.
        """
        by_name = {one.device.id: one for one in observations}
        if len(by_name) != len(observations):
            raise ValueError("each subject is observed once at a time; one is named twice")
        in_force = await self.in_force()
        if in_force is None:
            return None
        recent = await self.peers(channel, [one.peers for one in observations])
        pools = {name: in_force.judge.pool(channel, name, some) for name, some in recent.items()}

        async def _judge(kept: Mapping[str, Kept]) -> Mapping[str, Judged | None]:
            now = self._clock()
            return {
                name: in_force.judge.observation(
                    channel,
                    name,
                    one.score,
                    one.peers,
                    pools[one.peers],
                    Known(kept[name].record, one.device.segment),
                    one.attribution,
                    now,
                )
                for name, one in by_name.items()
                if name in kept
            }

        devices = {name: one.device for name, one in by_name.items()}
        return await self.settle(in_force, devices, _judge, channel=channel, quietly=True)

    async def time_passed(self, device: Device) -> Response | None:
        """Ask whether a subject that policy has set apart has been so for long enough.

        Returns:
            The response; none when nothing is judged now, or policy has not set it apart any more.
        """
        in_force = await self.in_force()
        if in_force is None:
            return None

        async def _unjudged(kept: Mapping[str, Kept]) -> Mapping[str, Judged | None]:
            return {name: None for name, one in kept.items() if one.record and one.record.state == "quarantined"}

        return (await self.settle(in_force, {device.id: device}, _unjudged)).get(device.id)

    async def settle(
        self,
        in_force: InForce,
        devices: Mapping[str, Device],
        judging: Judging,
        then: Then = _nothing,
        *,
        channel: Channel | None = None,
        round_id: str = "",
        quietly: bool = False,
    ) -> dict[str, Response]:
        """Decide on what was judged, and keep it in one transaction; what others changed meanwhile is judged anew.

        Args:
            in_force: terms.
            devices: whose behaviour it is.
            judging: judges them by what is kept of them; whom it leaves out is left alone.
            then: is told of responses before they are kept, and of those that replace some; returns all contributions.
            channel: where something showed; none where time alone has passed.
            round_id: of updates; empty elsewhere.
            quietly: most of what is unremarkable is kept without a decision.

        Raises:
            Contended: others changed the same subjects again and again.
            StoreUnavailable: the store failed.
        """
        responses: dict[str, Response] = {}
        stale: Collection[str] = devices.keys()
        for _ in range(ATTEMPTS):
            cases = await self._cases(in_force, {name: devices[name] for name in stale}, judging, channel, round_id)
            made = await in_turns(lambda case: self._respond(case, quietly=quietly), cases)
            fresh = {one.device.id: one for one in made}
            responses = {name: one for name, one in responses.items() if name not in stale} | fresh
            contributions = await then(fresh)
            stale = await self._registry.record_behaviour([one.observed for one in responses.values()], contributions)
            if not stale:
                await self._carry_out(responses.values())
                return responses
        raise Contended(f"{len(stale)} subjects were changed by others again and again")

    async def _respond(self, case: Case, *, quietly: bool) -> Response:
        return unmoved(case) if quietly and is_unremarkable(case) else await respond(self._decider, case)

    async def _cases(
        self,
        in_force: InForce,
        devices: Mapping[str, Device],
        judging: Judging,
        channel: Channel | None,
        round_id: str,
    ) -> list[Case]:
        if not devices:
            return []
        kept, contributed = await asyncio.gather(
            self._records.kept(devices.keys()), self._contributed.rounds_of(devices.keys())
        )
        judged, now = await judging(kept), self._clock()
        return [
            Case(
                in_force,
                self._newcomer,
                Before(devices[name], kept[name], contributed.get(name, {})),
                found,
                channel,
                round_id,
                now,
            )
            for name, found in judged.items()
        ]

    async def _carry_out(self, responses: Collection[Response]) -> None:
        for one in responses:
            self._observer.responded(one)
        for one in responses:
            if one.decision is None:
                continue
            for model, rounds in one.orders.items():
                await self._orders.order(one.device.id, model, rounds, one.decision.id)
