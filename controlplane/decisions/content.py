"""What policy is told about the content of an inference: who asks, for whom, and what was found. Pure."""

from typing import Any

from controlplane.contracts.content import ContentReport
from controlplane.contracts.decision import Decision
from controlplane.contracts.identity import Device
from controlplane.decisions.gathering import ExceptionSource, HoldSource, subject_facts

PACKAGE = "content"

ACTION = "inference"
"""The action whose content it is: what is held or excepted of it counts for its content as well."""

AHEAD_SECONDS = 5.0
"""By how much clocks may differ: a capability of the next moment was issued just now."""

MAX_AGE_SECONDS = 1e10

REPORTER_PREFIX = "reporter_"
"""Begins the codes of what is required of the gateway, and of nobody else."""


def content_facts(
    report: ContentReport,
    gateway: Device,
    address: str,
    device: Device | None,
    exceptions: ExceptionSource,
    holds: HoldSource,
    now: float,
) -> dict[str, Any]:
    """Return the `ContentFacts` of a report.

    Args:
        report: what the gateway says; of whom it speaks is looked up, not believed.
        gateway: that asks, as the registry knows it now.
        address: where it asks from.
        device: that the report is about; none for a stranger.
        exceptions: knows what is excepted.
        holds: knows what is held.
        now: Unix seconds.
    """
    subject: dict[str, Any] = {"type": "device", "id": report.subject}
    known = subject_facts(device, now)
    if known is not None:
        subject["properties"] = known
    excepted = exceptions.of(report.subject, report.model, ACTION, now)
    return {
        "subject": subject,
        "action": {"name": ACTION},
        "resource": {"type": "model", "id": report.model},
        "context": {
            "time": now,
            "network": {"address": address},
            "reporter": {
                "id": gateway.id,
                "status": gateway.status,
                "roles": gateway.roles,
                "segment": gateway.segment,
            },
            "capability": {"id": report.capability, "age_seconds": _age(report.issued_at, now)},
            "direction": report.direction,
            "findings": report.findings.model_dump(),
            "holds": holds.of(device.segment if device else None, ACTION),
            **({"exceptions": excepted} if excepted else {}),
        },
    }


def _age(issued_at: float, now: float) -> float:
    """Return how old a capability is; one that is of a time to come is as old as can be, and opens nothing."""
    return max(0.0, now - issued_at) if issued_at <= now + AHEAD_SECONDS else MAX_AGE_SECONDS


def of_reporter(decision: Decision) -> Decision | None:
    """Return a denial less what it says of the subject, where the gateway itself may not ask; none where it may."""
    own = [reason for reason in decision.reasons if reason.code.startswith(REPORTER_PREFIX)]
    return decision.model_copy(update={"reasons": own}) if own else None
