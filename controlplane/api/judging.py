"""Judge a report of updates: capabilities are used up, behaviour is judged and responded to, policy admits each one."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from controlplane.api.problems import unavailable
from controlplane.api.services import Services
from controlplane.api.spending import Item, check_all, give_back, use_up
from controlplane.behavior import Judged, Known
from controlplane.behavior.judge import GROUPS
from controlplane.capabilities.grouping import partition
from controlplane.contracts.access import AccessRequest, Action, RequestContext, Resource, Subject
from controlplane.contracts.behaviour import BehaviourFact
from controlplane.contracts.decision import Decision
from controlplane.contracts.evidence import UpdateEvidence
from controlplane.contracts.identity import Device
from controlplane.contracts.observed import Kept
from controlplane.contracts.rollback import Contribution
from controlplane.contracts.rounds import Round, UpdateReport, UpdateVerdict
from controlplane.decisions.behaviour_terms import InForce
from controlplane.decisions.gathering import evidence_facts
from controlplane.decisions.responding import Judging, Settled
from controlplane.decisions.responses import Response
from controlplane.decisions.turns import in_turns

_UNBOUNDED_NORM = 1e12
"""The largest norm that evidence can state."""


async def judge(
    services: Services,
    found: Round,
    reports: Sequence[UpdateReport],
    address: str,
    *,
    believed: bool,
    decision_id: str | None = None,
) -> list[UpdateVerdict]:
    """Return a verdict for each report, in order.

    A capability counts as used by being reported, whatever the verdict, so it cannot be tried again. Where the subjects
    stand is decided first, so that nothing is admitted of one that this very report sets apart; what becomes of them,
    and who contributed, is written in one transaction once all decisions stand.

    Of whom others write again and again meanwhile nothing is kept: its update is denied, as one of whom it is not known
    where it stands, and can be reported again, as can all when this raises.

    Args:
        services: the parts.
        found: the round that was reported to.
        reports: the updates.
        address: of the enforcement point that reports.
        believed: policy takes the reporter's word for evidence and verification.
        decision_id: of the decision that let it report.

    Raises:
        ProblemError: 503 when policy does not say how behaviour is judged; no capability is used up then.
        Contended: others write of all these subjects again and again.
        AuditUnavailable, StoreUnavailable: a decision or the store failed.
    """
    in_force = await services.behaviour.responder.in_force()
    if in_force is None:
        raise unavailable("Policy does not say how behaviour is judged, and without that no update is.", decision_id)
    items = await use_up(services, found, await check_all(services, found, reports, believed=believed))
    left: Collection[str] = {item.report.subject for item in items}
    try:
        devices = await _look_up(services, items)
        admission = _Admission(services, found, items, devices, address)
        settled = await _settle(services, found, in_force, admission)
        left = settled.contended
        await admission.refuse(left)
    finally:
        if left:
            await give_back(services, found, [item for item in items if item.report.subject in left])
    decisions = [admission.decisions[number] for number in range(len(items))]
    _count_metrics(services, items, devices, decisions)
    return [
        _verdict(item.report, decision, settled.responses.get(item.report.subject))
        for item, decision in zip(items, decisions, strict=True)
    ]


async def _settle(services: Services, found: Round, in_force: InForce, admission: "_Admission") -> Settled:
    cohort = _cohort(admission.items, admission.devices)
    known = {name: device for name, device in admission.devices.items() if device is not None and name in cohort}
    return await services.behaviour.responder.settle(
        in_force,
        known,
        await _judging(services, found, in_force, cohort, known, _groups(found, cohort)),
        admission.admit,
        channel="updates",
        round_id=found.id,
        model=found.model,
    )


async def _look_up(services: Services, items: Sequence[Item]) -> dict[str, Device | None]:
    names = list(dict.fromkeys(item.report.subject for item in items))
    return dict(zip(names, await asyncio.gather(*map(services.registry.get, names)), strict=True))


def _cohort(items: Sequence[Item], devices: Mapping[str, Device | None]) -> dict[str, UpdateEvidence]:
    """Return the evidence of each enrolled subject's first update that counts."""
    return {
        item.report.subject: item.report.evidence
        for item in reversed(items)
        if item.counts and item.report.evidence is not None and devices[item.report.subject] is not None
    }


def _groups(found: Round, cohort: Mapping[str, UpdateEvidence]) -> dict[str, str]:
    """Return the group of each member of a round as it was drawn, whoever went away, and whatever a report says of it.

    Who reports could say otherwise, and who goes away could make it look as if nobody hostile was beside a victim.
    """
    if found.grouping is None or found.group_size is None:
        return {subject: subject for subject in cohort}
    drawn = partition(found.grouping, found.members, found.group_size)
    named = {name: str(number) for number, group in enumerate(drawn) for name in group}
    return {subject: subject for subject in cohort} | named


async def _judging(
    services: Services,
    found: Round,
    in_force: InForce,
    cohort: Mapping[str, UpdateEvidence],
    known: Mapping[str, Device],
    groups: Mapping[str, str],
) -> Judging:
    classes = in_force.judge.classes(cohort, {name: device.segment for name, device in known.items()})
    if found.confidentiality == "grouped":
        classes = dict.fromkeys(classes, GROUPS)
    pools = await services.behaviour.responder.peers(
        "updates", classes.values(), in_force.terms.window, apart_from=found.id
    )

    async def _judge(kept: Mapping[str, Kept]) -> Mapping[str, Judged]:
        before = {name: Known(one.record, known[name].segment) for name, one in kept.items()}
        if found.confidentiality == "grouped":
            pool = pools.get(GROUPS, ())
            return await asyncio.to_thread(in_force.judge.sums, cohort, groups, before, pool, services.clock())
        # A large cohort takes a while; others are served meanwhile.
        return await asyncio.to_thread(in_force.judge.updates, cohort, before, pools, services.clock())

    return _judge


@dataclass
class _Admission:
    """Which updates are admitted, decided again for those whose behaviour had to be judged again.

    Attributes:
        decisions: by place in the report.
    """

    services: Services
    found: Round
    items: Sequence[Item]
    devices: Mapping[str, Device | None]
    address: str
    decisions: dict[int, Decision] = field(default_factory=dict)

    async def admit(self, responses: Mapping[str, Response]) -> list[Contribution]:
        """Decide on these subjects' updates, and at first on all; return what those that are admitted contribute."""
        due = [
            number
            for number, item in enumerate(self.items)
            if number not in self.decisions or item.report.subject in responses
        ]
        made = await in_turns(lambda number: self._decide(self.items[number], responses), due)
        self.decisions.update(zip(due, made, strict=True))
        return [
            Contribution(
                round_id=self.found.id,
                subject=item.report.subject,
                update_digest=item.report.evidence.update_digest,
                decision_id=self.decisions[number].id,
                time=self.decisions[number].time,
            )
            for number, item in enumerate(self.items)
            if self.decisions[number].allowed and item.report.evidence is not None
        ]

    async def refuse(self, subjects: Collection[str]) -> None:
        """Decide anew on the updates of subjects of whom it is not known where they stand."""
        due = [number for number, item in enumerate(self.items) if item.report.subject in subjects]
        made = await in_turns(lambda number: self._decide(self.items[number], {}), due)
        # Nothing is kept of them: whatever policy says, no update of theirs may enter.
        self.decisions.update(
            (number, one if not one.allowed else one.model_copy(update={"outcome": "error"}))
            for number, one in zip(due, made, strict=True)
        )

    async def _decide(self, item: Item, responses: Mapping[str, Response]) -> Decision:
        subject = item.report.subject
        response = responses.get(subject)
        access = AccessRequest(
            subject=Subject(type="device", id=subject),
            action=Action(name="gradient_submission"),
            resource=Resource(type="model", id=self.found.model),
            context=RequestContext(round_id=self.found.id),
        )
        admit = _admit_facts(self.services, item, response.fact if response else None)
        device = response.device if response else self.devices[subject]
        facts, _ = await self.services.gatherer.gather(
            access, device, self.address, admit=admit, submissions=item.submissions
        )
        return await self.services.decider.decide("gradient_submission", facts)


def _admit_facts(services: Services, item: Item, behaviour: BehaviourFact | None) -> dict[str, Any]:
    claims = item.claims
    capability = {
        "verified": claims is not None,
        "cause": item.cause,
        "uses": item.uses,
        "round": (claims.detail.constraints.round_id or "") if claims else "",
        "model": claims.detail.resource_id if claims else "",
        "age_seconds": max(0.0, services.clock() - claims.iat) if claims else 0.0,
        "segment": (claims.detail.constraints.segment or "") if claims else "",
        "max_norm": (claims.detail.constraints.max_norm or _UNBOUNDED_NORM) if claims else 0.0,
    }
    if claims is not None and claims.detail.constraints.privacy is not None:
        capability["privacy"] = claims.detail.constraints.privacy.model_dump(exclude_none=True)
    judged = {} if behaviour is None else {"behaviour": behaviour.model_dump(exclude_none=True)}
    group = item.report.group if claims else None
    grouped = {} if group is None else {"group": group.model_dump()}
    return {"capability": capability, **evidence_facts(item.report.evidence if claims else None), **grouped, **judged}


def _count_metrics(
    services: Services, items: Sequence[Item], devices: Mapping[str, Device | None], decisions: Sequence[Decision]
) -> None:
    metrics = services.metrics
    for item, decision in zip(items, decisions, strict=True):
        device = devices[item.report.subject]
        segment = metrics.segment(device.segment if device is not None else "unknown")
        metrics.training.updates.labels("accepted" if decision.allowed else "rejected", segment).inc()
        if item.cause or item.uses:
            metrics.capabilities.refused(item.cause or "replayed")
        if item.counts and item.report.evidence is not None:
            metrics.training.distance.labels(segment).observe(max(0.0, 1.0 - item.report.evidence.cosine))
            metrics.training.norm_ratio.labels(segment).observe(item.report.evidence.norm_ratio)


def _verdict(report: UpdateReport, decision: Decision, response: Response | None) -> UpdateVerdict:
    judged = response.judged if response else None
    attribution = judged.attribution if judged else None
    return UpdateVerdict(
        subject=report.subject,
        decision=decision.allowed,
        decision_id=decision.id,
        reasons=decision.reasons,
        clip_norm_ratio=decision.obligations.clip_norm_ratio if decision.allowed else None,
        trust=response.device.trust.score if response else None,
        quarantined=response is not None and response.state == "quarantined",
        features=[feature.name for feature in attribution.features] if attribution else [],
        state=response.state if response else None,
        p_value=judged.admission_p_value if judged else None,
        attribution=attribution,
    )
