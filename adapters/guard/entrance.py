"""Who comes to a guarded job: whose connection it is, who may be invited, and who may have a round's weights."""

import logging
from collections.abc import Collection, Iterable

from adapters.credentials import Credentials, Introduction
from adapters.guard.checkpoint import Checkpoint
from adapters.guard.reports import Drop, GuardReport, Point, RoundReport
from adapters.guard.rounds import SealedRound
from adapters.guard.tally import Tally
from controlplane.capabilities.refusals import Refused
from controlplane.contracts.base import is_identifier

_LONGEST_NAME = 128

_log = logging.getLogger("ztfm.guard")


class Entrance:
    """Lets in whoever shows what holds, and counts whatever is left out.

    Args:
        report: of the guard.
        checkpoint: says what holds.
        tally: counts.
        members: subjects that may be invited; none for whoever proves an enrolled key.
    """

    def __init__(
        self, report: GuardReport, checkpoint: Checkpoint, tally: Tally, members: Collection[str] | None
    ) -> None:
        self.report = report
        self._checkpoint = checkpoint
        self._tally = tally
        self._allowed = None if members is None else frozenset(members)

    def identify(self, introduction: Introduction) -> str | Refused:
        """Return the subject behind a connection, or why its introduction does not hold."""
        found = self._checkpoint.identify(introduction)
        if isinstance(found, Refused):
            self.drop("identify", found.cause, subject=introduction.subject)
        return found

    def admit(self, subjects: Iterable[str]) -> list[str]:
        """Return those who may be invited, each once, in order. Whether they may take part is policy's to say."""
        admitted = []
        for subject in dict.fromkeys(subjects):
            if is_identifier(subject) and (self._allowed is None or subject in self._allowed):
                admitted.append(subject)
            else:
                self.drop("admit", "not_invited", subject=subject)
        return admitted

    def authorize_pull(self, sealed: SealedRound, credentials: Credentials) -> str | Refused:
        """Return the subject that may have the round's weights, or why what it presented does not hold."""
        claims = self._checkpoint.pull(credentials, sealed.terms, sealed.manifest.size_bytes)
        if not isinstance(claims, Refused) and not sealed.has_member(claims.sub):
            claims = Refused("wrong_subject", "The subject is no member of the round.")
        if isinstance(claims, Refused):
            self.report.pulls[claims.cause] += 1
            self.drop("pull", claims.cause, subject=credentials.subject, round_id=sealed.terms.round_id)
            return claims
        self.report.pulls["allowed"] += 1
        self._tally.pulled(sealed.terms.round_id)
        return claims.sub

    def is_stale(self, credentials: Credentials) -> bool:
        """Whether credentials to submit have run out, or will before they can be reported: ask for them once more."""
        return self._checkpoint.is_stale(credentials)

    def drop(self, point: Point, cause: str, *, subject: str = "", round_id: str = "") -> Drop:
        """Leave something out: counted, logged, never raised."""
        dropped = Drop(point, cause, subject[:_LONGEST_NAME], round_id)
        self._tally.dropped(dropped)
        _log.info("dropped at %s: %s (%s) %s", point, dropped.subject or "?", cause, round_id)
        return dropped

    def latest(self) -> RoundReport | None:
        """Return the report of the round that was gated last, or none."""
        return self.report.rounds[-1] if self.report.rounds else None
