"""Respond to behaviour: what was judged is decided on, then kept, whoever else writes at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from controlplane.audit import AuditUnavailable
from controlplane.behavior import Judged, Known, Peer
from controlplane.contracts.behaviour import Attribution, Channel
from controlplane.contracts.identity import Device, Trust
from controlplane.contracts.observed import Kept, Observed, Tell
from controlplane.contracts.rollback import Contribution
from controlplane.decisions.behaviour_terms import InForce
from controlplane.decisions.holding import Holds
from controlplane.decisions.interfaces import Contributed, Orders, Records, Registry, ResponseObserver, Scores, Terms
from controlplane.decisions.responses import Before, Case, Decides, Response, is_unremarkable, respond, unmoved
from controlplane.decisions.turns import in_turns
from controlplane.storage import StoreUnavailable
from controlplane.storage.behaviour import Recorded

ATTEMPTS = 5
"""How often what somebody else changed meanwhile is judged anew, before giving up."""

_log = structlog.get_logger("ztfm.behaviour")


class Contended(Exception):  # noqa: N818 - a state, as callers see it
    """Others changed the same subjects again and again; nothing was kept."""


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


class Settled(NamedTuple):
    """What became of judgements.

    Attributes:
        responses: to those of whom it is kept.
        contended: of whom nothing is kept, because others changed them again and again, or a fault came after it was
            kept of the others.
    """

    responses: dict[str, Response]
    contended: frozenset[str]


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
        self._holds = Holds()

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
            The response to each of whom it is kept, by subject; none, with nothing changed, while policy does not say
            how to judge.

        Raises:
            Contended: others changed all subjects again and again; nothing was kept.
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
        return (await self.settle(in_force, devices, _judge, channel=channel, quietly=True)).responses

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

        return (await self.settle(in_force, {device.id: device}, _unjudged)).responses.get(device.id)

    async def settle(
        self,
        in_force: InForce,
        devices: Mapping[str, Device],
        judging: Judging,
        then: Then = _nothing,
        *,
        channel: Channel | None = None,
        round_id: str = "",
        model: str = "",
        quietly: bool = False,
    ) -> Settled:
        """Decide on what was judged, and keep it; what others changed meanwhile is judged anew, and that alone.

        In this process, whoever writes of a subject waits for whoever does so already. Other processes may change it
        meanwhile: what is kept of the others then does not wait for it.

        Args:
            in_force: terms.
            devices: whose behaviour it is.
            judging: judges them by what is kept of them; whom it leaves out is left alone.
            then: is told of responses before they are kept, and of those that replace some; returns all contributions.
            channel: where something showed; none where time alone has passed.
            round_id: of updates; empty elsewhere.
            model: that is contributed to; empty elsewhere.
            quietly: most of what is unremarkable is kept without a decision.

        Raises:
            Contended: others changed all subjects again and again; nothing was kept.
            AuditUnavailable, StoreUnavailable: a decision or the store failed; nothing was kept.
        """
        responses: dict[str, Response] = {}
        left: Collection[str] = devices.keys()
        async with self._holds.of(devices):
            for _ in range(ATTEMPTS):
                due = {name: devices[name] for name in left}
                try:
                    made = await self._attempt(in_force, due, judging, then, channel, round_id, model, quietly=quietly)
                except (AuditUnavailable, StoreUnavailable) as error:
                    if not responses:
                        raise
                    _log.error("behaviour_not_kept", subjects=len(left), error=type(error).__name__)
                    break
                responses |= made.responses
                left = made.contended
                if not left:
                    break
        if left and not responses:
            raise Contended(f"{len(left)} subjects were changed by others again and again")
        return Settled(responses, frozenset(left) if responses else frozenset())

    async def _attempt(
        self,
        in_force: InForce,
        devices: Mapping[str, Device],
        judging: Judging,
        then: Then,
        channel: Channel | None,
        round_id: str,
        model: str,
        *,
        quietly: bool,
    ) -> Settled:
        cases = await self._cases(in_force, devices, judging, channel, round_id)
        made = await in_turns(lambda case: self._respond(case, quietly=quietly), cases)
        fresh = {one.device.id: one for one in made}
        contributions = [one for one in await then(fresh) if one.subject in fresh or one.subject not in devices]
        stale = await self._record(made, contributions, model)
        return Settled({name: one for name, one in fresh.items() if name not in stale}, stale)

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
        kept = await self._records.kept(devices.keys())
        # Not at once: what is contributed after this was read changes what is kept, and is judged anew.
        contributed = await self._contributed.rounds_of(devices.keys())
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

    async def _record(
        self, responses: Sequence[Response], contributions: Sequence[Contribution], model: str
    ) -> frozenset[str]:
        contributing = {one.subject for one in contributions}
        orders = [
            self._orders.undoing(one.device.id, name, rounds, one.decision.id)
            for one in responses
            if one.decision is not None
            for name, rounds in _undone(one, model if one.device.id in contributing else "").items()
        ]
        recorded = Recorded(frozenset())

        async def _keep(observed: Sequence[Observed], given: Sequence[Contribution], tell: Tell) -> frozenset[str]:
            # Whoever is set apart stays in the model for good where the order is not as certain as the response.
            nonlocal recorded
            recorded = await self._records.record(observed, given, tell, orders)
            return recorded.stale

        stale = await self._registry.record_behaviour([one.observed for one in responses], contributions, _keep)
        for one in responses:
            if one.device.id not in stale:
                self._observer.responded(one)
        self._orders.committed(orders, recorded.orders)
        return stale


def _undone(response: Response, model: str) -> dict[str, int]:
    """Return how many rounds are undone, by model: of those contributed to before, and of one that now is."""
    now = {model: response.rollback_rounds} if model and response.rollback_rounds else {}
    return {**response.orders, **now}
