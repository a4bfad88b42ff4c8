"""Members of a loop in one process, bounded: what their code raises, and how long it takes, stops no round."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from torch import Tensor

from adapters.credentials import Credentials, Introduction, RoundTerms
from adapters.errors import ControlPlaneError, Unavailable
from adapters.guard import Guard
from adapters.member import Member
from adapters.noising import MakeNoise
from adapters.pytorch import GuardedRound

Train = Callable[[Member, Mapping[str, Tensor]], tuple[Mapping[str, object], int]]
"""From a member and weights of its own to its update (trained minus received) and the examples behind it."""

Result = TypeVar("Result")

_log = logging.getLogger("ztfm.guard")


class BoundedMembers:
    """The members of a `GuardedRound`, kept apart from the loop as another process would keep them.

    Whose code raises is left out, and so is whose training takes too long; both are counted and logged.

    Example:
        bounded = BoundedMembers(guard, members)
        with GuardedRound(guard, model.state_dict(), bounded.members) as round:
            bounded.collect(round, train, seconds=60.0)
            model.load_state_dict(round.aggregate())

    Args:
        guard: of the job.
        members: who takes part.

    Attributes:
        members: the same, for the round.
    """

    def __init__(self, guard: Guard, members: Sequence[Member]) -> None:
        self.members: Sequence[Member] = [_Contained(member) for member in members]
        self._guard = guard

    def collect(self, guarded: GuardedRound, train: Train, *, seconds: float) -> None:
        """Have each member whose pull holds train, one after the other, and take in what comes in time.

        Args:
            guarded: the round.
            train: of a member.
            seconds: that each has. One that takes longer is not waited for, and what comes of it is not looked at.
        """
        for member in guarded.allowed():
            if isinstance(member, _Contained):
                trained = self._trained(member, train, _copy(guarded.state), seconds)
                if trained is not None:
                    guarded.submit(member, *trained)

    def _trained(
        self, member: "_Contained", train: Train, state: Mapping[str, Tensor], seconds: float
    ) -> tuple[Mapping[str, object], int] | None:
        came: list[tuple[Mapping[str, object], int]] = []

        def work() -> None:
            try:
                came.append(train(member.inner, state))
            except Exception as error:  # noqa: BLE001 - a member's code may raise anything; it is counted below
                _log.warning("the training of %s failed: %s: %s", member.id, type(error).__name__, error)

        # A daemon: nothing can end a thread that hangs, and it must not keep the process.
        thread = threading.Thread(target=work, name=f"train-{member.id}", daemon=True)
        thread.start()
        thread.join(seconds)
        is_late, answer = thread.is_alive(), next(iter(came), None)
        if is_late or answer is None:
            self._guard.drop("gate", "absent" if is_late else "failed", subject=member.id, round_id=member.round_id)
            return None
        return answer


class _Contained(Member):
    """A member whose code may raise anything: what is no answer of the control plane becomes one that denies."""

    def __init__(self, inner: Member) -> None:
        super().__init__(inner.key, inner.plane)
        self.inner = inner
        self.round_id = ""

    def introduce(self, audience: str) -> Introduction:
        """As the member does; one that cannot has no name."""
        try:
            return self._attempt(lambda: self.inner.introduce(audience))
        except ControlPlaneError:
            return Introduction(self.id, "")

    def pull(self, terms: RoundTerms) -> Credentials:
        """As the member does."""
        self.round_id = terms.round_id
        return self._attempt(lambda: self.inner.pull(terms))

    def submit(self, terms: RoundTerms, digest: str) -> Credentials:
        """As the member does."""
        return self._attempt(lambda: self.inner.submit(terms, digest))

    def submit_masked(self, terms: RoundTerms, digest: str) -> Credentials:
        """As the member does."""
        return self._attempt(lambda: self.inner.submit_masked(terms, digest))

    def release(self, terms: RoundTerms, digest: str, noise: MakeNoise) -> Credentials:
        """As the member does."""
        return self._attempt(lambda: self.inner.release(terms, digest, noise))

    def _attempt(self, work: Callable[[], Result]) -> Result:
        try:
            return work()
        except ControlPlaneError:
            raise
        except Exception as error:
            _log.warning("the code of %s failed: %s: %s", self.id, type(error).__name__, error)
            raise Unavailable(f"the code of {self.id} failed") from error


def _copy(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in state.items()}
