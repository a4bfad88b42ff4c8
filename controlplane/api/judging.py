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

    A capability counts as used by being reported, whatever the verdict, so it cannot be tried again. Trust and
    quarantine are written in one transaction once all decisions stand.

    Args:
        services: the parts.
        found: the round that was reported to.
        reports: the updates.
        address: of the enforcement point that reports.
        believed: policy takes the reporter's word for evidence and verification.
    """
    items = await _use_up(services, found, await _check_all(services, found, reports, believed=believed))
    devices = await _look_up(services, items)
    assessed = _assess(services, items, devices)
    standing = {name: _with_trust(device, assessed.get(name)) for name, device in devices.items()}
    decisions = await asyncio.gather(
        *(_decide(services, found, item, standing[item.report.subject], address) for item in items)
    )
    quarantined = _to_quarantine(decisions, devices)
    trust = {name: assessment.trust for name, assessment in assessed.items()}
    if trust or quarantined:
        await services.registry.record_behaviour(trust, quarantined)
    _count_metrics(services, items, decisions, assessed, [devices[name] for name in quarantined])
    return [
        _verdict(item.report, decision, assessed.get(item.report.subject), item.report.subject in quarantined)
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


def _assess(
    services: Services, items: Sequence[_Item], devices: Mapping[str, Device | None]
) -> Mapping[str, Assessment]:
    cohort = {
        item.report.subject: item.report.evidence
        for item in reversed(items)
        if item.counts and item.report.evidence is not None and devices[item.report.subject] is not None
    }
    prior = {name: device.trust for name, device in devices.items() if device is not None and name in cohort}
    return services.behaviour.assess(prior, cohort) if cohort else {}


def _with_trust(device: Device | None, assessment: Assessment | None) -> Device | None:
    if device is None or assessment is None:
        return device
    return device.model_copy(update={"trust": assessment.trust})


def _admit_facts(services: Services, item: _Item) -> dict[str, Any]:
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
    return {"capability": capability, **evidence_facts(item.report.evidence if claims else None)}


async def _decide(services: Services, found: Round, item: _Item, device: Device | None, address: str) -> Decision:
    access = AccessRequest(
        subject=Subject(type="device", id=item.report.subject),
        action=Action(name="gradient_submission"),
        resource=Resource(type="model", id=found.model),
        context=RequestContext(round_id=found.id),
    )
    admit = _admit_facts(services, item)
    facts = await services.gatherer.gather(access, device, address, admit=admit, submissions=item.submissions)
    return await services.decider.decide("gradient_submission", facts)


def _to_quarantine(decisions: Sequence[Decision], devices: Mapping[str, Device | None]) -> list[str]:
    named = {decision.subject for decision in decisions if decision.obligations.quarantine}
    return sorted(name for name in named if (device := devices[name]) is not None and device.status == "active")


def _count_metrics(
    services: Services,
    items: Sequence[_Item],
    decisions: Sequence[Decision],
    assessed: Mapping[str, Assessment],
    quarantined: Sequence[Device | None],
) -> None:
    metrics = services.metrics
    for item, decision in zip(items, decisions, strict=True):
        metrics.updates.labels("accepted" if decision.allowed else "rejected").inc()
        if item.cause or item.uses:
            metrics.refused(item.cause or "replayed")
        if item.counts and item.report.evidence is not None:
            metrics.update_cosine.observe(item.report.evidence.cosine)
            metrics.update_norm_ratio.observe(item.report.evidence.norm_ratio)
    for assessment in assessed.values():
        metrics.trust_score.observe(assessment.trust.score)
    for device in quarantined:
        if device is not None:
            metrics.quarantines.labels(metrics.segment(device.segment)).inc()


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
