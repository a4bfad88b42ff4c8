"""Capabilities that a report uses up, and has given back where nothing came of it."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from controlplane.api.services import Services
from controlplane.capabilities.refusals import Refused
from controlplane.contracts.capability import CapabilityClaims
from controlplane.contracts.rounds import Round, UpdateReport
from controlplane.storage import StoreUnavailable

_CHECKED_AT_ONCE = 16

_log = structlog.get_logger("ztfm.rounds")


@dataclass(frozen=True, slots=True)
class Checked:
    """A report with what this side found of its capability.

    Attributes:
        report: of an update.
        claims: of its capability; none where that does not hold.
        cause: why it does not hold; empty where it does.
    """

    report: UpdateReport
    claims: CapabilityClaims | None
    cause: str


@dataclass(frozen=True, slots=True)
class Item:
    """A checked report, and what was counted before it.

    Attributes:
        report: of an update.
        claims: of its capability; none where that does not hold.
        cause: why it does not hold; empty where it does.
        uses: of the capability.
        submissions: of the subject to the round.
    """

    report: UpdateReport
    claims: CapabilityClaims | None
    cause: str
    uses: int
    submissions: int

    @property
    def counts(self) -> bool:
        """Whether it stands for an update; a capability that was used before stands for none."""
        return self.claims is not None and self.uses == 0


async def check_all(
    services: Services, found: Round, reports: Sequence[UpdateReport], *, believed: bool
) -> list[Checked]:
    """Return reports with what holds of their capabilities, in order.

    Args:
        services: the parts.
        found: the round that was reported to.
        reports: the updates.
        believed: policy takes the reporter's word for evidence and verification.
    """
    checked = []
    for index, report in enumerate(reports):
        if index % _CHECKED_AT_ONCE == _CHECKED_AT_ONCE - 1:
            # A thousand signatures take a tenth of a second; others are served in between.
            await asyncio.sleep(0)
        checked.append(_check(services, found, report, believed=believed))
    return checked


async def use_up(services: Services, found: Round, checked: Sequence[Checked]) -> list[Item]:
    """Count a use of each capability and a submission of each subject; return the reports with the counts before.

    Raises:
        StoreUnavailable: the store failed; no capability is used up, unless it cannot even be given back.
    """
    expiries = {item.claims.jti: item.claims.exp for item in checked if item.claims is not None}
    used = Counter(dict(await services.capabilities.ledger.consume(expiries)) if expiries else {})
    fresh = [item.report.subject for item in checked if item.claims is not None and not used[item.claims.jti]]
    try:
        submitted = Counter(await services.training.rounds.count_submissions(found.id, list(dict.fromkeys(fresh))))
    except StoreUnavailable:
        await _give_back(services, found, list(expiries), [])
        raise
    items = []
    for item in checked:
        subject, uses = item.report.subject, 0
        if item.claims is not None:
            uses = used[item.claims.jti]
            used[item.claims.jti] += 1
        counted = Item(item.report, item.claims, item.cause, uses, submitted[subject])
        submitted[subject] += counted.counts
        items.append(counted)
    return items


async def give_back(services: Services, found: Round, items: Sequence[Item]) -> None:
    """Take back what `use_up` counted for reports, of which nothing was kept: they can be sent again.

    Where the store cannot be asked, they stay used up.
    """
    jtis = list(dict.fromkeys(item.claims.jti for item in items if item.claims is not None))
    await _give_back(services, found, jtis, list(dict.fromkeys(item.report.subject for item in items if item.counts)))


async def _give_back(services: Services, found: Round, jtis: Sequence[str], subjects: Sequence[str]) -> None:
    try:
        await services.capabilities.ledger.give_back(jtis)
        await services.training.rounds.give_back_submissions(found.id, subjects)
    except StoreUnavailable as error:
        _log.error("capabilities_not_given_back", round_id=found.id, many=len(jtis), error=type(error).__name__)


def _check(services: Services, found: Round, report: UpdateReport, *, believed: bool) -> Checked:
    if not believed:
        return Checked(report, None, "reporter_not_believed")
    if not report.verification.verified or report.verification.cause:
        return Checked(report, None, report.verification.cause or "unverified")
    if report.capability is None:
        return Checked(report, None, "malformed")
    claims = services.capabilities.verifier.inspect(
        report.capability,
        subject=report.subject,
        action="gradient_submission",
        resource_id=found.model,
        round_id=found.id,
    )
    if isinstance(claims, Refused):
        return Checked(report, None, claims.cause)
    return Checked(report, claims, "")
