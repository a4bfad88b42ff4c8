"""The guard of one federated-learning job: what every backend calls, and nothing of any backend."""

import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torch import Tensor

from adapters.client import SyncControlPlane
from adapters.enrolment import load_identity, load_key
from adapters.feed import RevocationFeed
from adapters.guard.checkpoint import Checkpoint
from adapters.guard.entrance import Entrance
from adapters.guard.reports import GuardReport
from adapters.guard.rounds import SealedRound, Weights
from adapters.guard.rulings import Gated, Submission
from adapters.guard.sealing import Opening, fixed, require_able
from adapters.guard.sumgate import SumGate
from adapters.guard.summing import Bounds, GroupServer, Summed
from adapters.guard.tally import Tally
from adapters.guard.undoing import Undoing
from adapters.naming import Names
from adapters.rollback import DeltaArchive, Recipe
from adapters.rollback.rebuilding import Progress
from controlplane.capabilities.revocations import Standings
from controlplane.contracts.rollback import Rollback

_FIRST_WORD_SECONDS = 5.0


class Guard(Entrance):
    """Guards a job's rounds. A context manager, for one thread at a time.

    What a device does wrong comes back as a value. What the job's own side does wrong is raised.

    Args:
        plane: the control plane, spoken to as an enrolled aggregator.
        audience: the name of this enforcement point; capabilities must be for it.
        model: the model's identifier in ``policies/data``.
        issuer: whose capabilities are accepted; none for the control plane's URL.
        run: begins the ids of rounds, which must be unique; none for a random one.
        members: subjects that may be invited; none for whoever proves an enrolled key.
        patience_seconds: how long to go on asking a control plane that cannot answer.
        weight_ratio: an update weighs at most this multiple of the median of the claimed examples.
        clock: Unix seconds.
        segment: from which devices are taken; none for any. A capability for another one is refused.
        archive: keeps the updates of rounds, so that some can be undone; none keeps nothing, and leaves what is ordered
            undone.
        rebuilding: is told how far a rebuild is; returning false has it go on after the next round.
        may_drop: a rollback gives up rounds that cannot be done again, and all that followed them; else it fails, and
            what was to be undone stays in the model.
        standings: knows what was revoked, such as `SyncControlPlane.follow_revocations`; none lets every capability
            live to its end.
        shards: the parts of the model that its rounds train, as its entry in ``policies/data`` names them; none for
            all of it, which a capability that names parts does not let anybody pull.

    Raises:
        ValueError: the audience can be the name of no enforcement point.
    """

    def __init__(
        self,
        plane: SyncControlPlane,
        *,
        audience: str,
        model: str,
        issuer: str | None = None,
        run: str | None = None,
        members: Collection[str] | None = None,
        patience_seconds: float = 10.0,
        weight_ratio: float = 10.0,
        clock: Callable[[], float] = time.time,
        segment: str | None = None,
        standings: Standings | None = None,
        archive: DeltaArchive | None = None,
        rebuilding: Progress | None = None,
        may_drop: bool = True,
        shards: Collection[str] | None = None,
    ) -> None:
        listening = standings.has_other_key if isinstance(standings, RevocationFeed) else None
        self.names = Names(plane.resolve, is_rekeyed=listening)
        checkpoint = Checkpoint(
            plane.jwks, issuer or plane.url, audience, clock, standings, segment, self.names, shards
        )
        report = GuardReport()
        super().__init__(report, checkpoint, Tally(report, clock), members)
        self.audience = audience
        self.model = model
        self.weight_ratio = weight_ratio
        self._plane = plane
        self._opening = Opening(plane, model, run or f"run-{secrets.token_hex(6)}", patience_seconds)
        self._gate = SumGate(plane, checkpoint, patience_seconds, weight_ratio)
        self._undoing = None
        if archive is not None:
            self._undoing = Undoing(plane, archive, patience_seconds, rebuilding, may_drop=may_drop)
        self._ordered: tuple[str, tuple[Rollback, ...]] = ("", ())

    @classmethod
    def open(
        cls, folder: Path, *, audience: str, model: str, archive: Path | DeltaArchive | None = None, **options: Any
    ) -> Self:
        """Return the guard of the aggregator that was enrolled in ``folder`` (see `Member.enrol`).

        It follows revocations: what is revoked is refused within a second, and everything is when nothing was heard
        from the control plane for ten seconds.

        Args:
            folder: with its key and identity.
            audience: as the constructor.
            model: as the constructor.
            archive: as the constructor, or the folder of one that is signed with the aggregator's key.
            options: the other arguments of the constructor; ``standings=None`` follows no revocations.

        Raises:
            FileNotFoundError: none was enrolled there.
            KeyFileError: its key or identity cannot be used.
            ArchiveError: the archive is damaged, somebody else's, or in use.
            ValueError: as the constructor.
        """
        identity, key = load_identity(folder), load_key(folder)
        kept = DeltaArchive(archive, key) if isinstance(archive, Path) else archive
        plane = SyncControlPlane(identity.url, key)
        try:
            if "standings" not in options:
                options["standings"] = plane.follow_revocations(_FIRST_WORD_SECONDS, issuer=identity.issuer)
            given = {"issuer": identity.issuer, "archive": kept, **options}
            return cls(plane, audience=audience, model=model, **given)
        except BaseException:
            plane.close()
            if kept is not None and kept is not archive:
                kept.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connection and the archive."""
        if self._undoing is not None:
            self._undoing.archive.close()
        self._plane.close()

    def seal(
        self,
        state: Mapping[str, Tensor],
        members: Sequence[str],
        *,
        duration_seconds: float = 600.0,
        label: str | None = None,
        sums: bool = False,
        noises: bool = False,
    ) -> SealedRound:
        """Fix a round: the weights that are pulled, the shape of updates, who may take part; and open it.

        Args:
            state: the global model's state; its floating-point tensors take part.
            members: subjects that may take part, at least one.
            duration_seconds: how long the round stays open.
            label: ends the round's id, after the run and a running number.
            sums: this backend makes secure sums where policy lets it see nothing else.
            noises: this backend adds noise to the sum of updates where policy asks for it.

        Raises:
            NoiseOwed: policy asks for noise that this backend does not add. Nobody was asked for anything.
            Exposing: policy lets this side see sums of groups alone, and this backend makes none. Nobody was asked for
                anything.
            ControlPlaneError: the round could not be opened; `Unavailable` once patience was at an end.
            ValueError: the state has no tensor that can be guarded, or an argument is out of bounds; `Superseded`: the
                weights were rolled back.
        """
        round_id = self._opening.next_id(label)
        weights = Weights.of(state)
        if self._undoing is not None:
            self._undoing.require_current(weights)
        request, opened = self._opening.open(round_id, weights, members, duration_seconds)
        require_able(opened, sums=sums, noises=noises)
        self._tally.begin(round_id, len(request.members), opened.aggregation)
        return fixed(request, opened, weights, self.audience)

    def gate(
        self, sealed: SealedRound, submissions: Sequence[Submission], *, reference: Mapping[str, Tensor] | None = None
    ) -> Gated:
        """Rule on a round's submissions: verify, screen what held, report all in one call, clip what was accepted.

        When the control plane cannot answer, every submission is dropped: the job goes on with the last good model.

        Args:
            sealed: the round.
            submissions: what arrived.
            reference: the update that trusted data yields; none compares each update with the others.

        Raises:
            ValueError: the reference does not fit the round, or is not finite.
        """
        return self._ended(sealed, self._gate.rule(sealed, submissions, reference))

    def _ended(self, sealed: SealedRound, gated: Gated) -> Gated:
        round_id = sealed.terms.round_id
        for ruling in gated.rulings:
            self.report.updates[ruling.cause or "accepted"] += 1
            if not ruling.accepted:
                self.drop("gate", ruling.cause, subject=ruling.subject, round_id=round_id)
        self._tally.end(round_id, gated)
        self._ordered = round_id, gated.rollbacks
        return gated

    def group_servers(self, sealed: SealedRound, bounds: Bounds) -> list[GroupServer]:
        """Return a server for the secure sum of each group of a round; lead each to its end, then call `gate_sums`.

        Args:
            sealed: the round.
            bounds: what its members agree on.
        """
        return self._gate.group_servers(sealed, bounds, self.names)

    def gate_sums(
        self,
        sealed: SealedRound,
        servers: Sequence[GroupServer],
        *,
        reference: Mapping[str, Tensor] | None = None,
    ) -> Gated:
        """Rule on the sums of a round's groups, as `gate` does on updates.

        Args:
            sealed: the round.
            servers: of all groups, also of those that came to nothing.
            reference: the update that trusted data yields; none compares each sum with the others.

        Raises:
            ValueError: the reference does not fit the round, or is not finite.
        """
        refused = {name: cause for server in servers for name, cause in server.refused.items()}
        sums = [server.outcome for server in servers if isinstance(server.outcome, Summed)]
        for server in servers:
            for name, cause in self._tally.summed(server).items():
                self.drop("gate", cause, subject=name, round_id=sealed.terms.round_id)
        return self._ended(sealed, self._gate.rule_sums(sealed, sums, refused, reference))

    def record(
        self,
        sealed: SealedRound,
        gated: Gated,
        before: Mapping[str, Tensor],
        after: Mapping[str, Tensor],
        recipes: Sequence[Recipe] = (Recipe(),),
    ) -> None:
        """Archive a round that was aggregated, where there is an archive. That it cannot be is counted and logged.

        Args:
            sealed: the round.
            gated: its rulings.
            before: the state that it began with.
            after: the state that it ended with.
            recipes: how it may have come from the one to the other; the first that does so once more counts.

        Raises:
            ArchiveError: the round is in the archive, or the archive is another model's.
        """
        if self._undoing is None:
            return
        fault = self._undoing.record(sealed, gated, before, after, recipes)
        if fault:
            self.drop("archive", fault, round_id=sealed.terms.round_id)
        self.report.archive = self._undoing.standing()

    def rollback(self, state: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        """Carry out what was ordered with the last verdicts, and tell the control plane.

        Call it after a round was recorded, and go on with what it returns: the next round is to begin with it.

        Args:
            state: the model's state after the round.

        Returns:
            The state without what was to be left out; none when it stays as it is.
        """
        (round_id, orders), self._ordered = self._ordered, ("", ())
        if self._undoing is None or not orders:
            return None
        undone = self._undoing.undo(orders, state)
        self._tally.rolled_back(round_id, undone.rolled_back)
        self.report.archive = self._undoing.standing()
        return None if undone.state is None else {**state, **undone.state}
