"""Rule on a cohort: verify each submission, screen those which hold, report all of them, clip what was accepted."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

from pydantic import ValidationError
from torch import Tensor

from adapters.client import SyncControlPlane
from adapters.errors import ControlPlaneError
from adapters.guard.checkpoint import Checkpoint
from adapters.guard.patience import patiently
from adapters.guard.rounds import SealedRound
from adapters.guard.rulings import Gated, Ruling, Submission, bounded_weights, clip_scale
from adapters.reasons import cause_of
from adapters.screening import Screener, Streamed, read, update_digests
from adapters.screening.streaming import Changed
from controlplane.capabilities.limits import exceeded
from controlplane.capabilities.refusals import Refused
from controlplane.contracts.access import Verification
from controlplane.contracts.capability import CapabilityClaims, Constraints
from controlplane.contracts.evidence import UpdateEvidence
from controlplane.contracts.rollback import Rollback
from controlplane.contracts.rounds import UpdateReport, UpdateVerdict, UpdateVerdicts

REPORTED_AT_ONCE = 500
"""Verified updates in one call. A thousand are allowed, but with evidence on 64 layers each they outgrow a request."""

SMALLEST_COHORT = 4
"""Without a reference, fewer updates cannot be told apart: one hostile update would turn the evidence on the others."""

_MOST_EXAMPLES = 1_000_000_000

_log = logging.getLogger("ztfm.guard")


@dataclass(frozen=True)
class _Checked:
    """A submission and what verification and screening made of it."""

    submission: Submission
    update: Mapping[str, object]
    refused: Refused | None
    digest: str = ""
    limits: Constraints | None = None
    evidence: UpdateEvidence | None = None


class Gate:
    """Rules on cohorts, and remembers what earlier ones looked like.

    Args:
        plane: the control plane, spoken to as an aggregator.
        checkpoint: verifies credentials.
        patience_seconds: how long to go on asking a control plane that cannot answer.
        weight_ratio: an update weighs at most this multiple of the median of the claimed examples.
    """

    def __init__(
        self, plane: SyncControlPlane, checkpoint: Checkpoint, patience_seconds: float, weight_ratio: float
    ) -> None:
        self._plane = plane
        self._checkpoint = checkpoint
        self._patience = patience_seconds
        self._weight_ratio = weight_ratio
        self._screener = Screener()

    def rule(
        self, sealed: SealedRound, submissions: Sequence[Submission], reference: Mapping[str, Tensor] | None
    ) -> Gated:
        """Return the rulings on ``submissions``, in their order.

        Raises:
            ValueError: the reference does not fit the round, or is not finite.
        """
        checked = self._screened(self._verified(sealed, submissions), sealed, reference)
        verdicts, rollbacks = self._verdicts(sealed, checked)
        ruled = self._weighed([_rule(*pair) for pair in zip(checked, verdicts, strict=True)], checked)
        return Gated(ruled, rollbacks)

    def _verified(self, sealed: SealedRound, submissions: Sequence[Submission]) -> list[_Checked]:
        held: set[str] = set()
        checked = []
        updates = [read(submission.update) for submission in submissions]
        digests = update_digests(updates, sealed.manifest)
        for submission, update, digest in zip(submissions, updates, digests, strict=True):
            found = self._verify(sealed, submission, digest, _size_bytes(update), held)
            if isinstance(found, Refused):
                checked.append(_Checked(submission, update, found))
            else:
                held.add(submission.subject)
                checked.append(_Checked(submission, update, None, digest, found.detail.constraints))
        return checked

    def _verify(
        self, sealed: SealedRound, submission: Submission, digest: str, size_bytes: int, held: set[str]
    ) -> CapabilityClaims | Refused:
        credentials = submission.credentials
        if not sealed.has_member(submission.subject):
            return Refused("wrong_subject", "The subject is no member of the round.")
        if submission.subject in held:
            return Refused("replayed", "The subject submitted to this round already.")
        if credentials is None:
            return Refused("proof_missing", "No credentials came with the update.")
        if credentials.subject != submission.subject:
            return Refused("wrong_subject", "The credentials are another subject's.")
        return self._checkpoint.submission(credentials, sealed.terms, digest, size_bytes, submission.sealed_to)

    def _screened(
        self, checked: Sequence[_Checked], sealed: SealedRound, reference: Mapping[str, Tensor] | None
    ) -> list[_Checked]:
        held = {one.submission.subject: one for one in checked if one.refused is None}
        if reference is None and len(held) < SMALLEST_COHORT:
            if held:
                _log.warning("%d updates are too few to judge without a reference; none is accepted", len(held))
            return list(checked)
        evidence = self._screener.screen(
            {subject: one.update for subject, one in held.items()},
            sealed.manifest,
            reference=reference,
            examples={subject: _claimed(one.submission.examples) for subject, one in held.items()},
            digests={subject: one.digest for subject, one in held.items()},
            round_id=sealed.terms.round_id,
        )
        return [one if one.refused else replace(one, evidence=evidence[one.submission.subject]) for one in checked]

    def _verdicts(
        self, sealed: SealedRound, checked: Sequence[_Checked]
    ) -> tuple[list[UpdateVerdict | None], tuple[Rollback, ...]]:
        """Return a verdict for each, or none, and the rollbacks that the last answer told of."""
        reports = [_report(one) for one in checked]
        received: list[UpdateVerdict | None] = [None] * len(reports)
        rollbacks: tuple[Rollback, ...] = ()
        for part in in_parts(reports, REPORTED_AT_ONCE):
            answer = self._ask(sealed, [report for _, report in part])
            if answer is not None:
                rollbacks = tuple(answer.rollbacks)
                for (number, _), verdict in zip(part, answer.verdicts, strict=True):
                    received[number] = verdict
        return received, rollbacks

    def _ask(self, sealed: SealedRound, reports: Sequence[UpdateReport]) -> UpdateVerdicts | None:
        try:
            answer = patiently(lambda: self._plane.report_updates(sealed.terms.round_id, reports), self._patience)
        except ControlPlaneError as error:
            _log.error("round %s: %d updates are dropped: %s", sealed.terms.round_id, len(reports), error)
            return None
        if [verdict.subject for verdict in answer.verdicts] != [report.subject for report in reports]:
            _log.error("round %s: the verdicts are not on what was reported; all dropped", sealed.terms.round_id)
            return None
        return answer

    def _weighed(self, rulings: Sequence[Ruling], checked: Sequence[_Checked]) -> tuple[Ruling, ...]:
        claims = [
            one.evidence.examples
            for ruling, one in zip(rulings, checked, strict=True)
            if ruling.accepted and one.evidence is not None
        ]
        weights = iter(bounded_weights(claims, self._weight_ratio))
        return tuple(replace(ruling, weight=next(weights)) if ruling.accepted else ruling for ruling in rulings)


def in_parts(reports: Sequence[UpdateReport | None], most: int) -> list[list[tuple[int, UpdateReport]]]:
    """Return reports in parts of ``most`` at most, each with its place; what cannot be reported is left out.

    What is reported together is compared with one another. So those that verification held are in parts of equal size:
    with a few left over by themselves, nothing could be said of these. The others take what room is left, then parts of
    their own.
    """
    numbered = [(number, report) for number, report in enumerate(reports) if report is not None]
    held = [one for one in numbered if one[1].verification.verified]
    others = [one for one in numbered if not one[1].verification.verified]
    size = ceil(len(held) / ceil(len(held) / most)) if held else most
    parts = [held[start : start + size] for start in range(0, len(held), size)]
    for part in parts:
        room = most - len(part)
        part += others[:room]
        del others[:room]
    return parts + [others[start : start + most] for start in range(0, len(others), most)]


def _size_bytes(update: Mapping[str, object]) -> int:
    if isinstance(update, Streamed):
        return update.size_bytes
    return sum(value.numel() * value.element_size() for value in update.values() if isinstance(value, Tensor))


def _claimed(examples: object) -> int:
    if not isinstance(examples, int) or isinstance(examples, bool):
        return 0
    return max(0, min(examples, _MOST_EXAMPLES))


def _report(checked: _Checked) -> UpdateReport | None:
    """Return what is reported, or none for what has no name that could be reported."""
    credentials, refused = checked.submission.credentials, checked.refused
    token = credentials.capability if credentials else None
    verification = Verification(verified=refused is None, cause=refused.cause if refused else "")
    for capability in (token, None):
        try:
            return UpdateReport(
                subject=checked.submission.subject,
                capability=capability,
                verification=verification,
                evidence=checked.evidence,
            )
        except ValidationError:
            continue
    return None


def _rule(checked: _Checked, verdict: UpdateVerdict | None) -> Ruling:
    subject, evidence = checked.submission.subject, checked.evidence
    if checked.refused is not None:
        return Ruling(subject, accepted=False, cause=checked.refused.cause, verdict=verdict)
    if verdict is None:
        return Ruling(subject, accepted=False, cause="unavailable", evidence=evidence)
    if evidence is None:
        return Ruling(subject, accepted=False, cause="cohort_too_small", verdict=verdict)
    if not verdict.decision:
        cause = cause_of(verdict.reasons)
        return Ruling(subject, accepted=False, cause=cause, verdict=verdict, evidence=evidence)
    beyond = exceeded(checked.limits or Constraints(), norm=evidence.norm)
    if beyond is not None:
        # Policy denies it too; nothing that came back can widen a capability.
        return Ruling(subject, accepted=False, cause=beyond.cause, verdict=verdict, evidence=evidence)
    scale = clip_scale(verdict, evidence)
    update = clipped(checked.update, scale)
    return Ruling(subject, accepted=True, cause="", verdict=verdict, evidence=evidence, update=update, scale=scale)


def clipped(update: Mapping[str, object], scale: float) -> Mapping[str, Tensor]:
    """Return the tensors of an update, each times ``scale``."""
    if isinstance(update, Streamed):
        return update if scale >= 1.0 else Changed(update, lambda _, tensor: tensor.mul_(scale))
    tensors = {name: tensor for name, tensor in update.items() if isinstance(tensor, Tensor)}
    return tensors if scale >= 1.0 else {name: tensor * scale for name, tensor in tensors.items()}
