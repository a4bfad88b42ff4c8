"""Undo what is ordered: keep each round's updates, and rebuild the model without some of them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from adapters.client import SyncControlPlane
from adapters.errors import ControlPlaneError
from adapters.guard.patience import patiently
from adapters.guard.reports import ArchiveStanding, RolledBack
from adapters.guard.rounds import SealedRound, Weights
from adapters.guard.rulings import Gated, Ruling
from adapters.rollback import (
    Aggregated,
    Answer,
    ArchiveDamaged,
    ArchiveError,
    Asked,
    Contributed,
    DeltaArchive,
    KeptUpdate,
    Rebuilt,
    Recipe,
    RollbackEntry,
    Stopped,
    Superseded,
    TooLarge,
)
from adapters.rollback.lineage import REPLACED
from adapters.rollback.rebuilding import Progress
from adapters.screening import update_digest
from controlplane.contracts.rollback import Rollback, RollbackResult

_LONGEST_FAULT = 256

_log = logging.getLogger("ztfm.guard")


@dataclass(frozen=True)
class Undone:
    """What became of orders.

    Attributes:
        state: the rebuilt weights; none when the model stays as it is.
        rolled_back: order by order.
    """

    state: dict[str, Tensor] | None
    rolled_back: tuple[RolledBack, ...]


class Undoing:
    """Archives rounds and carries out the control plane's orders.

    Args:
        plane: is told what became of orders.
        archive: of the job's model.
        patience_seconds: how long to go on telling a control plane that cannot answer.
        progress: is told how far a rebuild is, and may stop it until the next round.
        may_drop: rounds that cannot be done again are given up with what follows them; else the order fails.
    """

    def __init__(
        self,
        plane: SyncControlPlane,
        archive: DeltaArchive,
        patience_seconds: float,
        progress: Progress | None = None,
        *,
        may_drop: bool = True,
    ) -> None:
        self.archive = archive
        self._plane = plane
        self._patience = patience_seconds
        self._progress = progress
        self._may_drop = may_drop

    def standing(self) -> ArchiveStanding:
        """Return what is kept."""
        rounds = self.archive.standings()
        fixed = sum(one.entry.recipe is None for one in rounds)
        return ArchiveStanding(rounds=len(rounds), size_bytes=self.archive.size_bytes, not_replayable=fixed)

    def require_current(self, weights: Weights) -> None:
        """Refuse weights that were rolled back.

        Raises:
            Superseded: they were.
        """
        if self.archive.is_superseded(weights.digest):
            raise Superseded(
                f"the weights {weights.digest} were rolled back. Begin with those that the archive ends with: "
                "`DeltaArchive.latest()`, or `ztfm rounds rebuild FOLDER --out FILE`"
            )

    def record(
        self,
        sealed: SealedRound,
        gated: Gated,
        before: Mapping[str, Tensor],
        after: Mapping[str, Tensor],
        recipes: Sequence[Recipe],
    ) -> str:
        """Archive a round and return why that was not possible, in a word; empty when it was, or nothing entered.

        Raises:
            ArchiveError: the round is in the archive, or the archive is another model's.
        """
        updates = [found for ruling in gated.accepted if (found := _contributed(sealed, ruling)) is not None]
        if not updates:
            return ""
        name, model = sealed.terms.round_id, sealed.terms.model
        done = Aggregated(name, model, Weights.of(before).tensors, Weights.of(after).tensors, updates, recipes)
        try:
            entry = self.archive.record(done)
        except (OSError, TooLarge, ArchiveDamaged) as error:
            _log.error("round %s is not archived, nothing of it can be undone: %s", name, error)
            return "too_large" if isinstance(error, TooLarge) else "unavailable"
        if entry.recipe is None:
            _log.warning("round %s cannot be done again: a rollback would end before it", name)
        return ""

    def undo(self, orders: Sequence[Rollback], state: Mapping[str, Tensor]) -> Undone:
        """Carry out orders on the model, and tell the control plane.

        Args:
            orders: what is outstanding.
            state: the model's state after the last round.
        """
        results = {order.id: known for order in orders if (known := self._known(order)) is not None}
        fresh = [order for order in orders if order.id not in results]
        rebuilt: Rebuilt | None = None
        try:
            if fresh:
                rebuilt, came = self._carry_out(fresh, Weights.of(state))
                results.update(came)
        except Stopped as error:
            _log.warning("the rebuild goes on after the next round: %s", error)
        except (ArchiveError, OSError) as error:
            results.update({order.id: _failed(order, str(error)) for order in fresh})
        ended = [self._tell(order, results[order.id]) for order in orders if order.id in results]
        return Undone(None if rebuilt is None else rebuilt.state, tuple(ended))

    def _known(self, order: Rollback) -> RollbackResult | None:
        """Return what became of an order that was carried out when the control plane could not be told."""
        entry = self.archive.executed(order.id, order.round_id)
        if entry is None:
            return None
        answer = next(one for one in entry.answers if one.order == order.id and one.since == order.round_id)
        return _result(answer, entry.weights_after, entry)

    def _carry_out(
        self, orders: Sequence[Rollback], current: Weights
    ) -> tuple[Rebuilt | None, dict[str, RollbackResult]]:
        alive = [one for one in self.archive.standings() if not one.is_dropped]
        if not alive or alive[-1].after != current.digest:
            raise ArchiveError(REPLACED)
        asked = [Asked(without=order.subjects, since=order.round_id, order=order.id) for order in orders]
        dropped = self.archive.plan(*asked).dropped
        if dropped and not self._may_drop:
            raise ArchiveError(f"{len(dropped)} rounds cannot be done again, and the job does not give them up")
        rebuilt = self.archive.rebuild(*asked, progress=self._progress)
        if rebuilt is None:
            answers = self.archive.plan(*asked).answers
            return None, {order.id: _result(one, current.digest) for order, one in zip(orders, answers, strict=True)}
        entry = self.archive.accept(rebuilt)
        pairs = zip(orders, entry.answers, strict=True)
        return rebuilt, {order.id: _result(one, entry.weights_after, entry) for order, one in pairs}

    def _tell(self, order: Rollback, result: RollbackResult) -> RolledBack:
        is_told = True
        try:
            patiently(lambda: self._plane.report_rollback(order.id, result), self._patience)
        except ControlPlaneError as error:
            # It stays outstanding there, comes again with the next verdicts, and is known here.
            _log.error("rollback %s: the control plane was not told what became of it: %s", order.id, error)
            is_told = False
        _log.warning("rollback %s of %s: %s %s", order.id, ", ".join(order.subjects), result.state, result.fault)
        return RolledBack(order.id, tuple(order.subjects), result, is_told)


def _contributed(sealed: SealedRound, ruling: Ruling) -> Contributed | None:
    if ruling.update is None or ruling.evidence is None or ruling.verdict is None:
        return None
    content = update_digest(ruling.update, sealed.manifest)
    kept = KeptUpdate(
        subject=ruling.subject,
        update_digest=ruling.evidence.update_digest,
        content=content,
        decision_id=ruling.verdict.decision_id,
        weight=ruling.weight,
        scale=ruling.scale,
    )
    return Contributed(ruling.update, kept)


def _result(answer: Answer, digest: str, entry: RollbackEntry | None = None) -> RollbackResult:
    lost = "" if entry is None or not entry.dropped else f"cannot be done again, and were dropped: {entry.dropped}"
    return RollbackResult(
        round_id=answer.since,
        state="failed" if answer.incomplete else "done",
        model_digest=None if answer.incomplete else digest,
        rounds=0 if entry is None else len(entry.replayed),
        left_out=answer.left_out,
        fault=_printable(answer.incomplete or lost),
    )


def _failed(order: Rollback, fault: str) -> RollbackResult:
    return RollbackResult(round_id=order.round_id, state="failed", fault=_printable(fault or "it could not be read"))


def _printable(text: str) -> str:
    return "".join(one if " " <= one <= "~" else "?" for one in text)[:_LONGEST_FAULT]
