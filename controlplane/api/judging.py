"""Judge a report of updates: capabilities are used up, behaviour is assessed, policy decides each one."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controlplane.api.services import Assessment, Services
from controlplane.capabilities.refusals import Refused
from controlplane.contracts.access import AccessRequest, Action, RequestContext, Resource, Subject
from controlplane.contracts.capability import CapabilityClaims
from controlplane.contracts.decision import Decision
from controlplane.contracts.identity import Device
from controlplane.contracts.rounds import Round, UpdateReport, UpdateVerdict
from controlplane.decisions.gathering import evidence_facts


@dataclass(frozen=True, slots=True)
class _Checked:
    """A report with what this side found of its capability."""

    report: UpdateReport
    claims: CapabilityClaims | None
    cause: str

    @property
    def verified(self) -> bool:
        return self.claims is not None and not self.cause


async def judge(
    services: Services, found: Round, reports: Sequence[UpdateReport], address: str, *, believed: bool
) -> list[UpdateVerdict]:
    """Return a verdict for each report, in order.

    A capability counts as used by being reported, whatever the verdict, so it cannot be tried again. Trust and
    quarantine are written in one transaction once all decisions stand.

    Args:
        services: the parts.
        found: the round that was reported to.
        reports: the updates.
        address: of the enforcement point that reports.
        believed: policy takes the reporter's word for evidence and verification.
    """
    checked = [_check(services, found, report, believed=believed) for report in reports]
    uses = await _use_up(services, checked)
    submissions = await _count(services, found, checked)
    devices = {item.report.subject: await services.registry.get(item.report.subject) for item in checked}
    assessed = _assess(services, checked, devices)
    standing = {name: _with_trust(device, assessed.get(name)) for name, device in devices.items()}
    admits = [_admit_facts(services, item, prior) for item, prior in zip(checked, uses, strict=True)]
    decisions = await asyncio.gather(
        *(
            _decide(services, found, item, standing[item.report.subject], admit, prior, address)
            for item, admit, prior in zip(checked, admits, submissions, strict=True)
        )
    )
    quarantined = _to_quarantine(decisions, devices)
    trust = {name: assessment.trust for name, assessment in assessed.items()}
    if trust or quarantined:
        await services.registry.record_behaviour(trust, quarantined)
    _count_metrics(services, checked, decisions, assessed, [devices[name] for name in quarantined])
    return [
        _verdict(item.report, decision, assessed.get(item.report.subject), item.report.subject in quarantined)
        for item, decision in zip(checked, decisions, strict=True)
    ]


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


async def _use_up(services: Services, checked: Sequence[_Checked]) -> list[int]:
    expiries = {item.claims.jti: item.claims.exp for item in checked if item.claims is not None}
    before = Counter(dict(await services.ledger.consume(expiries)) if expiries else {})
    uses = []
    for item in checked:
        if item.claims is None:
            uses.append(0)
            continue
        uses.append(before[item.claims.jti])
        before[item.claims.jti] += 1
    return uses


async def _count(services: Services, found: Round, checked: Sequence[_Checked]) -> list[int]:
    subjects = list(dict.fromkeys(item.report.subject for item in checked if item.verified))
    before = Counter(await services.rounds.count_submissions(found.id, subjects) if subjects else {})
    counts = []
    for item in checked:
        counts.append(before[item.report.subject])
        before[item.report.subject] += item.verified
    return counts


def _assess(
    services: Services, checked: Sequence[_Checked], devices: Mapping[str, Device | None]
) -> Mapping[str, Assessment]:
    cohort = {
        item.report.subject: item.report.evidence
        for item in reversed(checked)
        if item.verified and item.report.evidence is not None and devices[item.report.subject] is not None
    }
    prior = {name: device.trust for name, device in devices.items() if device is not None and name in cohort}
    return services.behaviour.assess(prior, cohort) if cohort else {}


def _with_trust(device: Device | None, assessment: Assessment | None) -> Device | None:
    if device is None or assessment is None:
        return device
    return device.model_copy(update={"trust": assessment.trust})


def _admit_facts(services: Services, item: _Checked, uses: int) -> dict[str, Any]:
    claims = item.claims
    capability = {
        "verified": item.verified,
        "cause": item.cause,
        "uses": uses,
        "round": (claims.detail.constraints.round_id or "") if claims else "",
        "model": claims.detail.resource_id if claims else "",
        "age_seconds": max(0.0, services.clock() - claims.iat) if claims else 0.0,
    }
    return {"capability": capability, **evidence_facts(item.report.evidence if item.verified else None)}


async def _decide(
    services: Services,
    found: Round,
    item: _Checked,
    device: Device | None,
    admit: dict[str, Any],
    submissions: int,
    address: str,
) -> Decision:
    access = AccessRequest(
        subject=Subject(type="device", id=item.report.subject),
        action=Action(name="gradient_submission"),
        resource=Resource(type="model", id=found.model),
        context=RequestContext(round_id=found.id),
    )
    facts = await services.gatherer.gather(access, device, address, admit=admit, submissions=submissions)
    return await services.decider.decide("gradient_submission", facts)


def _to_quarantine(decisions: Sequence[Decision], devices: Mapping[str, Device | None]) -> list[str]:
    named = {decision.subject for decision in decisions if decision.obligations.quarantine}
    return sorted(name for name in named if (device := devices[name]) is not None and device.status == "active")


def _count_metrics(
    services: Services,
    checked: Sequence[_Checked],
    decisions: Sequence[Decision],
    assessed: Mapping[str, Assessment],
    quarantined: Sequence[Device | None],
) -> None:
    metrics = services.metrics
    for item, decision in zip(checked, decisions, strict=True):
        metrics.updates.labels("accepted" if decision.allowed else "rejected").inc()
        if item.cause:
            metrics.capabilities_refused.labels(metrics.bounded(item.cause)).inc()
        if item.verified and item.report.evidence is not None:
            metrics.update_cosine.observe(item.report.evidence.cosine)
            metrics.update_norm_ratio.observe(item.report.evidence.norm_ratio)
    for assessment in assessed.values():
        metrics.trust_score.observe(assessment.trust.score)
    for device in quarantined:
        if device is not None:
            metrics.quarantines.labels(metrics.bounded(device.segment)).inc()


def _verdict(
    report: UpdateReport, decision: Decision, assessment: Assessment | None, quarantined: bool
) -> UpdateVerdict:
    return UpdateVerdict(
        subject=report.subject,
        decision=decision.allowed,
        decision_id=decision.id,
        reasons=decision.reasons,
        clip_norm_ratio=decision.obligations.clip_norm_ratio if decision.allowed else None,
        trust=assessment.trust.score if assessment else None,
        quarantined=quarantined,
        features=list(assessment.features)[:16] if assessment else [],
    )
