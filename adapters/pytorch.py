"""The seam around a plain PyTorch loop: one context manager a round."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from torch import Tensor

from adapters.errors import ControlPlaneError, TooMany, Unavailable
from adapters.guard import Gated, Guard, SealedRound, Submission
from adapters.guard.leading import group_sum
from adapters.guard.rounds import Weights
from adapters.guard.summing import Bounds
from adapters.member import Member
from adapters.privacy import clip_and_noise
from adapters.rollback import Recipe, moved
from adapters.screening import Source, Streamed, read, update_digest
from adapters.site.measuring import norm_of
from controlplane.contracts.privacy import PrivacyTerms

_log = logging.getLogger("ztfm.guard")


@dataclass(frozen=True)
class _Arrived:
    member: Member
    update: Source
    examples: int


def _kept(value: object) -> object:
    return value.detach().clone() if isinstance(value, Tensor) else value


class GuardedRound:
    """One round of a loop in which every member lives in this process.

    Example:
        with GuardedRound(guard, model.state_dict(), members) as round:
            for member in round.allowed():
                update, examples = train(member, round.state)
                round.submit(member, update, examples)
            model.load_state_dict(round.aggregate())

    Args:
        guard: of the job.
        state: the global model's state; of a `TensorFile` no copy is made.
        members: who takes part.
        duration_seconds: how long the round stays open.
        server_rate: share of the way of what the updates become that the state moves; above 1 beyond it.
        bounds: of values and dropouts, where policy lets updates be seen in sums of groups alone.

    Raises:
        TypeError: the state is no mapping, such as the model itself.

    Attributes:
        state: what members train from.
        gated: the rulings, once `aggregate` was called.
    """

    def __init__(
        self,
        guard: Guard,
        state: Mapping[str, Tensor],
        members: Sequence[Member],
        *,
        duration_seconds: float = 600.0,
        server_rate: float = 1.0,
        bounds: Bounds | None = None,
    ) -> None:
        if not isinstance(state, Streamed | Mapping):
            raise TypeError("`state` holds the model's tensors by name: give model.state_dict()")
        self.state = (
            state if isinstance(state, Streamed) else {n: tensor.detach().clone() for n, tensor in state.items()}
        )
        self.gated: Gated | None = None
        self._guard = guard
        self._members = members
        self._duration = duration_seconds
        self._rate = server_rate
        self._bounds = bounds or Bounds()
        self._sealed: SealedRound | None = None
        self._arrived: list[_Arrived] = []
        self._is_told = False

    def __enter__(self) -> Self:
        """Identify and admit the members, and seal the round.

        Raises:
            ControlPlaneError: the guard may not open rounds, or asks wrongly.
        """
        introduced = [self._guard.identify(member.introduce(self._guard.audience)) for member in self._members]
        admitted = self._guard.admit(subject for subject in introduced if isinstance(subject, str))
        if admitted:
            try:
                self._sealed = self._guard.seal(
                    self.state, admitted, duration_seconds=self._duration, sums=True, noises=True
                )
            except (Unavailable, TooMany):
                self._guard.drop("seal", "unavailable")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._arrived = []

    def allowed(self) -> list[Member]:
        """Return the members whose pull holds; nobody when the round could not be opened.

        Nobody either, where the state is a file and was altered since the round was opened.
        """
        if self._sealed is not None and not self._is_unaltered(self._sealed):
            self._guard.drop("pull", "altered", round_id=self._sealed.terms.round_id)
            return []
        return [member for member in self._members if self._pull(member)]

    def submit(self, member: Member, update: Source, examples: int) -> None:
        """Take in a member's update (trained minus received); nothing is believed before `aggregate`.

        Args:
            member: whose it is.
            update: by name, of the floating-point tensors. Integers of the state (a counter of batches) stay as they
                are, and what is in the update for them is left out; whatever else is in it, it is refused for. Or a
                safetensors file with the floating-point ones alone, which stays on the disk and which nobody may
                write any more.
            examples: training examples behind it.
        """
        is_kept = not isinstance(update, Mapping) or isinstance(update, Streamed)
        kept = update if is_kept else {name: _kept(value) for name, value in read(update).items() if self._moves(name)}
        self._arrived.append(_Arrived(member, kept, examples))

    def aggregate(self, reference: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Return the state after the round: moved by what the accepted updates became, else as it was.

        How they become one, policy picks. What is ordered to be undone is: where it is, the state is the rebuilt one.

        Args:
            reference: the update that trusted data yields; none compares each update with the others.

        Raises:
            ValueError: the reference does not fit the state, or is not finite.
        """
        if self._sealed is None:
            return dict(self.state)
        if self._sealed.confidentiality == "grouped":
            return self._summed(self._sealed, reference)
        # Credentials are fetched last: they run out while other members train.
        submissions = [found for one in self._arrived if (found := self._submission(one, self._sealed)) is not None]
        self.gated = self._guard.gate(self._sealed, submissions, reference=reference)
        step = self.gated.aggregate(self._sealed.aggregation, self._sealed.noise)
        after = dict(self.state)
        if step is not None:
            after = moved(self.state, step, self._rate)
            recipe = Recipe(method=self._sealed.aggregation, server_rate=self._rate)
            if self._sealed.noise is None:
                # Noise that was added once is not added again: such a round cannot be done once more.
                self._guard.record(self._sealed, self.gated, self.state, after, [recipe])
        return self._guard.rollback(after) or after

    def _moves(self, name: str) -> bool:
        """Whether training moves what the state has by this name; what it does not have at all is judged as it is."""
        if isinstance(self.state, Streamed) or name not in self.state:
            return True
        return self.state[name].is_floating_point()

    def _summed(self, sealed: SealedRound, reference: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
        """Return the state after a round of which sums of groups alone are seen; nothing is archived of it."""
        servers = self._guard.group_servers(sealed, self._bounds)
        arrived = {one.member.id: one for one in self._arrived}
        for server in servers:
            here = {name: arrived[name] for name in server.members if name in arrived}
            members, updates = ({n: one.member for n, one in here.items()}, {n: one.update for n, one in here.items()})
            group_sum(server, members, sealed, self._bounds, updates)
        self.gated = self._guard.gate_sums(sealed, servers, reference=reference)
        step = self.gated.aggregate(sealed.aggregation)
        return dict(self.state) if step is None else moved(self.state, step, self._rate)

    def _is_unaltered(self, sealed: SealedRound) -> bool:
        if not isinstance(self.state, Streamed):
            # What lies in this process's memory nobody else writes.
            return True
        try:
            return Weights.of(self.state).digest == sealed.terms.model_digest
        except OSError:
            return False

    def _submission(self, arrived: "_Arrived", sealed: SealedRound) -> Submission | None:
        member, digest, sent = arrived.member, update_digest(arrived.update, sealed.manifest), arrived.update

        def noise(terms: PrivacyTerms) -> str:
            nonlocal sent
            sent = clip_and_noise(read(arrived.update), terms)
            return update_digest(sent, sealed.manifest)

        try:
            if member.site is not None:
                norm = norm_of(arrived.update) if isinstance(arrived.update, Mapping) else None
                member.describe(digest, norm=norm, examples=arrived.examples)
            credentials = member.release(sealed.terms, digest, noise)
        except (ControlPlaneError, ValueError) as error:
            self._tell(member, error)
            self._guard.drop("gate", "declined", subject=member.id, round_id=sealed.terms.round_id)
            return None
        # How many examples there were is told of what is told in full alone.
        return Submission(member.id, sent, arrived.examples if sent is arrived.update else 1, credentials)

    def _tell(self, member: Member, error: Exception) -> None:
        """Log why a member has no part in the round; the first aloud, for often it is the same for all."""
        _log.log(
            logging.INFO if self._is_told else logging.WARNING, "%s has no part in the round: %s", member.id, error
        )
        self._is_told = True

    def _pull(self, member: Member) -> bool:
        if self._sealed is None or not self._sealed.has_member(member.id):
            return False
        try:
            credentials = member.pull(self._sealed.terms)
        except ControlPlaneError as error:
            self._tell(member, error)
            round_id = self._sealed.terms.round_id
            self._guard.drop("pull", "declined", subject=member.id, round_id=round_id)
            return False
        # Another member's credentials hold, too, and give that one the weights.
        if credentials.subject != member.id:
            self._guard.drop("pull", "wrong_subject", subject=member.id, round_id=self._sealed.terms.round_id)
            return False
        return self._guard.authorize_pull(self._sealed, credentials) == member.id
