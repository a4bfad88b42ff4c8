"""Judge a report of updates: capabilities are used up, behaviour is judged and responded to, policy admits each one."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from controlplane.api.problems import unavailable
from controlplane.api.services import Services
from controlplane.behavior import Judged, Known
from controlplane.capabilities.refusals import Refused
from controlplane.contracts.access import AccessRequest, Action, RequestContext, Resource, Subject
from controlplane.contracts.behaviour import BehaviourFact
from controlplane.contracts.capability import CapabilityClaims
from controlplane.contracts.decision import Decision
from controlplane.contracts.evidence import UpdateEvidence
from controlplane.contracts.identity import Device
from controlplane.contracts.observed import Kept
from controlplane.contracts.rollback import Contribution
from controlplane.contracts.rounds import Round, UpdateReport, UpdateVerdict
from controlplane.decisions.behaviour_terms import InForce
from controlplane.decisions.gathering import evidence_facts
from controlplane.decisions.responding import Judging
from controlplane.decisions.responses import Response
from controlplane.decisions.turns import in_turns

_CHECKED_AT_ONCE = 16

_UNBOUNDED_NORM = 1e12
"""The largest norm that evidence can state."""


@dataclass(frozen=True, slots=True)
class _Checked:
    """A report with what this side found of its capability."""

    report: UpdateReport
    claims: CapabilityClaims | None
    cause: str


@dataclass(frozen=True, slots=True)
class _Item:
    """A checked report, and what was counted before it."""

    report: UpdateReport
    claims: CapabilityClaims | None
    cause: str
    uses: int
    submissions: int

    @property
    def counts(self) -> bool:
        """Whether it stands for an update; a capability that was used before stands for none."""
        return self.claims is not None and self.uses == 0


async def judge(
    services: Services, found: Round, reports: Sequence[UpdateReport], address: str, *, believed: bool
) -> list[UpdateVerdict]:
    """Return a verdict for each report, in order.

    A capability counts as used by being reported, whatever the verdict, so it cannot be tried again. Where the subjects
    stand is decided first, so that nothing is admitted of one that this very report sets apart; what becomes of them,
    and who contributed, is written in one transaction once all decisions stand.

    Args:
        services: the parts.
        found: the round that was reported to.
        reports: the updates.
        address: of the enforcement point that reports.
        believed: policy takes the reporter's word for evidence and verification.

    Raises:
        ProblemError: 503 when policy does not say how behaviour is judged; no capability is used up then.
        Contended: others report on the same subjects again and again.
    """
    in_force = await services.responder.in_force()
    if in_force is None:
        raise unavailable("Policy does not say how behaviour is judged, and without that no update is.")
    items = await _use_up(services, found, await _check_all(services, found, reports, believed=believed))
    devices = await _look_up(services, items)
    cohort = _cohort(items, devices)
    known = {name: device for name, device in devices.items() if device is not None and name in cohort}
    admission = _Admission(services, found, items, devices, address)
    responses = await services.responder.settle(
        in_force,
        known,
        await _judging(services, found, in_force, cohort, known),
        admission.admit,
        channel="updates",
        round_id=found.id,
    )
    decisions = [admission.decisions[number] for number in range(len(items))]
    _count_metrics(services, items, decisions)
    return [
        _verdict(item.report, decision, responses.get(item.report.subject))
        for item, decision in zip(items, decisions, strict=True)
    ]


async def _check_all(
    services: Services, found: Round, reports: Sequence[UpdateReport], *, believed: bool
) -> list[_Checked]:
    checked = []
    for index, report in enumerate(reports):
        if index % _CHECKED_AT_ONCE == _CHECKED_AT_ONCE - 1:
            # A thousand signatures take a tenth of a second; others are served in between.
            await asyncio.sleep(0)
        checked.append(_check(services, found, report, believed=believed))
    return checked


def _check(services: Services, found: Round, report: UpdateReport, *, believed: bool) -> _Checked:
    if not believed:
        return _Checked(report, None, "reporter_not_believed")
    if not report.verification.verified or report.verification.cause:
        return _Checked(report, None, report.verification.cause or "unverified")
    if report.capability is None:
        return _Checked(report, None, "malformed")
    claims = services.capabilities.inspect(
        report.capability,
        subject=report.subject,
        action="gradient_submission",
        resource_id=found.model,
        round_id=found.id,
    )
    if isinstance(claims, Refused):
        return _Checked(report, None, claims.cause)
    return _Checked(report, claims, "")


async def _use_up(services: Services, found: Round, checked: Sequence[_Checked]) -> list[_Item]:
    expiries = {item.claims.jti: item.claims.exp for item in checked if item.claims is not None}
    used = Counter(dict(await services.ledger.consume(expiries)) if expiries else {})
    fresh = [item.report.subject for item in checked if item.claims is not None and not used[item.claims.jti]]
    subjects = list(dict.fromkeys(fresh))
    submitted = Counter(await services.rounds.count_submissions(found.id, subjects) if subjects else {})
    items = []
    for item in checked:
        subject, uses = item.report.subject, 0
        if item.claims is not None:
            uses = used[item.claims.jti]
            used[item.claims.jti] += 1
        counted = _Item(item.report, item.claims, item.cause, uses, submitted[subject])
        submitted[subject] += counted.counts
        items.append(counted)
    return items


async def _look_up(services: Services, items: Sequence[_Item]) -> dict[str, Device | None]:
    names = list(dict.fromkeys(item.report.subject for item in items))
    return dict(zip(names, await asyncio.gather(*map(services.registry.get, names)), strict=True))


def _cohort(items: Sequence[_Item], devices: Mapping[str, Device | None]) -> dict[str, UpdateEvidence]:
    """Return the evidence of each enrolled subject's first update that counts."""
    return {
        item.report.subject: item.report.evidence
        for item in reversed(items)
        if item.counts and item.report.evidence is not None and devices[item.report.subject] is not None
    }


async def _judging(
    services: Services,
    found: Round,
    in_force: InForce,
    cohort: Mapping[str, UpdateEvidence],
    known: Mapping[str, Device],
) -> Judging:
    classes = in_force.judge.classes(cohort, {name: device.segment for name, device in known.items()})
    pools = await services.responder.peers("updates", classes.values(), in_force.terms.window, apart_from=found.id)

    async def _judge(kept: Mapping[str, Kept]) -> Mapping[str, Judged]:
        before = {name: Known(one.record, known[name].segment) for name, one in kept.items()}
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
    items: Sequence[_Item]
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

    async def _decide(self, item: _Item, responses: Mapping[str, Response]) -> Decision:
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
        facts = await self.services.gatherer.gather(
            access, device, self.address, admit=admit, submissions=item.submissions
        )
        return await self.services.decider.decide("gradient_submission", facts)


def _admit_facts(services: Services, item: _Item, behaviour: BehaviourFact | None) -> dict[str, Any]:
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
    judged = {} if behaviour is None else {"behaviour": behaviour.model_dump(exclude_none=True)}
    return {"capability": capability, **evidence_facts(item.report.evidence if claims else None), **judged}


def _count_metrics(services: Services, items: Sequence[_Item], decisions: Sequence[Decision]) -> None:
    metrics = services.metrics
    for item, decision in zip(items, decisions, strict=True):
        metrics.updates.labels("accepted" if decision.allowed else "rejected").inc()
        if item.cause or item.uses:
            metrics.refused(item.cause or "replayed")
        if item.counts and item.report.evidence is not None:
            metrics.update_cosine.observe(item.report.evidence.cosine)
            metrics.update_norm_ratio.observe(item.report.evidence.norm_ratio)


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
        p_value=judged.p_value if judged else None,
        attribution=attribution,
    )
