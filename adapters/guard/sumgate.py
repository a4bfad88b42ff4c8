"""Rule on the secure sums of a round's groups: a group is measured, reported and accepted whole, or not at all."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from adapters.credentials import Credentials
from adapters.guard.gating import REPORTED_AT_ONCE, SMALLEST_COHORT, Gate, clipped
from adapters.guard.rounds import SealedRound
from adapters.guard.rulings import Gated, Ruling, clip_scale
from adapters.guard.summing import Bounds, GroupServer, Summed, sessions
from adapters.naming import Names
from adapters.reasons import cause_of
from controlplane.capabilities.refusals import Refused
from controlplane.contracts.access import Verification
from controlplane.contracts.confidentiality import GroupSum
from controlplane.contracts.evidence import UpdateEvidence
from controlplane.contracts.identity import PublicKey
from controlplane.contracts.rollback import Rollback
from controlplane.contracts.rounds import UpdateReport, UpdateVerdict

_log = logging.getLogger("ztfm.guard")


class SumGate(Gate):
    """Rules on cohorts as a `Gate`, and on sums of groups."""

    def group_servers(self, sealed: SealedRound, bounds: Bounds, names: Names) -> list[GroupServer]:
        """Return a server for the secure sum of each group of a round.

        Args:
            sealed: the round.
            bounds: what its members agree on.
            names: says which key somebody of a name holds.
        """

        def knows(name: str, key: PublicKey) -> bool:
            return names.holding(name, key) == "held"

        def verify(credentials: Credentials, digest: str, size_bytes: int) -> Refused | None:
            return self.verify_masked(sealed, credentials, digest, size_bytes)

        return [
            GroupServer(name, session, members, knows, verify) for name, session, members in sessions(sealed, bounds)
        ]

    def verify_masked(
        self, sealed: SealedRound, credentials: Credentials, digest: str, size_bytes: int
    ) -> Refused | None:
        """Use up the credentials of masked values, or return why they do not hold.

        Args:
            sealed: the round.
            credentials: that came with them.
            digest: of them.
            size_bytes: of them; an update's are as many as the round's manifest has, and a capability bounds those.
        """
        if not sealed.has_member(credentials.subject):
            return Refused("wrong_subject", "The subject is no member of the round.")
        found = self._checkpoint.submission(credentials, sealed.terms, digest, sealed.manifest.size_bytes)
        return found if isinstance(found, Refused) else None

    def rule_sums(
        self,
        sealed: SealedRound,
        sums: Sequence[Summed],
        refused: Mapping[str, str],
        reference: Mapping[str, Tensor] | None,
    ) -> Gated:
        """Return the rulings on the sums of groups, by member: a group is accepted whole, or not at all.

        Args:
            sealed: the round.
            sums: of its groups.
            refused: whose masked values were not added, and why.
            reference: as for `rule`.

        Raises:
            ValueError: the reference does not fit the round, or is not finite.
        """
        evidence = self._sums_screened(sealed, sums, reference)
        rulings = [Ruling(name, accepted=False, cause=cause) for name, cause in sorted(refused.items())]
        accepted: list[tuple[Mapping[str, Tensor], int]] = []
        rollbacks: tuple[Rollback, ...] = ()
        for part in _by_groups(sums, REPORTED_AT_ONCE):
            reports = [report for one in part for report in _group_reports(one, evidence.get(one.name))]
            answer = self._ask(sealed, reports)
            verdicts = {} if answer is None else {verdict.subject: verdict for verdict in answer.verdicts}
            rollbacks = rollbacks if answer is None else tuple(answer.rollbacks)
            for one in part:
                ruled, mean = _rule_sum(one, evidence.get(one.name), verdicts)
                rulings += ruled
                accepted += [] if mean is None else [(mean, one.count)]
        return Gated(tuple(rulings), rollbacks, tuple(accepted))

    def _sums_screened(
        self, sealed: SealedRound, sums: Sequence[Summed], reference: Mapping[str, Tensor] | None
    ) -> Mapping[str, UpdateEvidence]:
        if reference is None and len(sums) < SMALLEST_COHORT:
            if sums:
                _log.warning("%d groups are too few to judge without a reference; none is accepted", len(sums))
            return {}
        return self._screener.screen(
            {one.name: one.mean for one in sums},
            sealed.manifest,
            reference=reference,
            examples={one.name: one.count for one in sums},
            round_id=sealed.terms.round_id,
        )


def _by_groups(sums: Sequence[Summed], most: int) -> list[list[Summed]]:
    """Return sums in parts of ``most`` members at most, or of one group: a group is reported at once."""
    parts: list[list[Summed]] = []
    for one in sums:
        if parts and sum(other.count for other in parts[-1]) + one.count <= most:
            parts[-1].append(one)
        else:
            parts.append([one])
    return parts


def _group_reports(one: Summed, evidence: UpdateEvidence | None) -> list[UpdateReport]:
    held = Verification(verified=True, cause="")
    group = GroupSum(name=one.name, size=one.count)
    return [
        UpdateReport(subject=name, capability=shown.capability, verification=held, evidence=evidence, group=group)
        for name, shown in one.members.items()
    ]


def _rule_sum(
    one: Summed, evidence: UpdateEvidence | None, verdicts: Mapping[str, UpdateVerdict]
) -> tuple[list[Ruling], Mapping[str, Tensor] | None]:
    """Return the rulings on a group's members, and its mean, clipped, where all of them are accepted."""
    alone = {
        name: Ruling(name, accepted=verdict.decision, cause="", verdict=verdict, evidence=evidence)
        for name in one.members
        if (verdict := verdicts.get(name)) is not None
    }
    if evidence is None:
        return [Ruling(name, False, "cohort_too_small", verdicts.get(name)) for name in one.members], None
    if len(alone) == one.count and all(ruling.accepted for ruling in alone.values()):
        scale = min(clip_scale(ruling.verdict, evidence) for ruling in alone.values() if ruling.verdict is not None)
        return [replace(ruling, scale=scale) for ruling in alone.values()], clipped(one.mean, scale)
    return [
        replace(alone[name], accepted=False, cause=_cause(alone[name]))
        if name in alone
        else Ruling(name, accepted=False, cause="unavailable", evidence=evidence)
        for name in one.members
    ], None


def _cause(ruling: Ruling) -> str:
    """Why a member of a group that is refused is: what is said of it, or that it is in the group."""
    verdict = ruling.verdict
    if verdict is None or verdict.decision:
        return "group_refused"
    return cause_of(verdict.reasons)
