"""The seam around a plain PyTorch loop: one context manager a round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from torch import Tensor

from adapters.errors import ControlPlaneError, TooMany, Unavailable
from adapters.guard import Gated, Guard, SealedRound, Submission
from adapters.member import Member
from adapters.rollback import Recipe, moved
from adapters.screening import Source, Streamed, read, update_digest
from adapters.site.measuring import norm_of


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
    ) -> None:
        self.state = (
            state if isinstance(state, Streamed) else {n: tensor.detach().clone() for n, tensor in state.items()}
        )
        self.gated: Gated | None = None
        self._guard = guard
        self._members = members
        self._duration = duration_seconds
        self._rate = server_rate
        self._sealed: SealedRound | None = None
        self._arrived: list[_Arrived] = []

    def __enter__(self) -> Self:
        """Identify and admit the members, and seal the round.

        Raises:
            ControlPlaneError: the guard may not open rounds, or asks wrongly.
        """
        introduced = [self._guard.identify(member.introduce(self._guard.audience)) for member in self._members]
        admitted = self._guard.admit(subject for subject in introduced if isinstance(subject, str))
        if admitted:
            try:
                self._sealed = self._guard.seal(self.state, admitted, duration_seconds=self._duration)
            except (Unavailable, TooMany):
                self._guard.drop("seal", "unavailable")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._arrived = []

    def allowed(self) -> list[Member]:
        """Return the members whose pull holds; nobody when the round could not be opened."""
        return [member for member in self._members if self._pull(member)]

    def submit(self, member: Member, update: Source, examples: int) -> None:
        """Take in a member's update (trained minus received); nothing is believed before `aggregate`.

        Args:
            member: whose it is.
            update: by name, of the floating-point tensors; whatever else is in it, it is refused for. Or a safetensors
                file with them, which stays on the disk and which nobody may write any more.
            examples: training examples behind it.
        """
        is_kept = not isinstance(update, Mapping) or isinstance(update, Streamed)
        kept = update if is_kept else {name: _kept(value) for name, value in read(update).items()}
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
        # Credentials are fetched last: they run out while other members train.
        submissions = [found for one in self._arrived if (found := self._submission(one, self._sealed)) is not None]
        self.gated = self._guard.gate(self._sealed, submissions, reference=reference)
        step = self.gated.aggregate(self._sealed.aggregation)
        after = dict(self.state)
        if step is not None:
            after = moved(self.state, step, self._rate)
            recipe = Recipe(method=self._sealed.aggregation, server_rate=self._rate)
            self._guard.record(self._sealed, self.gated, self.state, after, [recipe])
        return self._guard.rollback(after) or after

    def _submission(self, arrived: "_Arrived", sealed: SealedRound) -> Submission | None:
        member, digest = arrived.member, update_digest(arrived.update, sealed.manifest)
        try:
            if member.site is not None:
                norm = norm_of(arrived.update) if isinstance(arrived.update, Mapping) else None
                member.describe(digest, norm=norm, examples=arrived.examples)
            credentials = member.submit(sealed.terms, digest)
        except ControlPlaneError:
            self._guard.drop("gate", "declined", subject=member.id, round_id=sealed.terms.round_id)
            return None
        return Submission(member.id, arrived.update, arrived.examples, credentials)

    def _pull(self, member: Member) -> bool:
        if self._sealed is None or not self._sealed.has_member(member.id):
            return False
        try:
            credentials = member.pull(self._sealed.terms)
        except ControlPlaneError:
            round_id = self._sealed.terms.round_id
            self._guard.drop("pull", "declined", subject=member.id, round_id=round_id)
            return False
        # Another member's credentials hold, too, and give that one the weights.
        if credentials.subject != member.id:
            self._guard.drop("pull", "wrong_subject", subject=member.id, round_id=self._sealed.terms.round_id)
            return False
        return self._guard.authorize_pull(self._sealed, credentials) == member.id
