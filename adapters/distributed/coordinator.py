"""The coordinator: the enforcement point between islands."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from adapters.admission import DECLINED, STAGE, Admission
from adapters.admission import Answer as Shown
from adapters.credentials import Credentials
from adapters.distributed.mailbox import Answer, Mailboxes
from adapters.guard import Gated, Guard, SealedRound, Submission
from adapters.rollback import Recipe, moved

FAILED = "failed"
"""In the answer of an island whose training raised."""

_GATING_SECONDS = 60.0
_LONGEST_CLAIM = 19


class Coordinator:
    """Runs rounds: who may have the weights gets them, trains, and is gated; then the model moves.

    An island that is refused, fails, hangs or is gone weighs nothing, and the mean is that of the others. It never
    stops a round, and may come back in a later one.

    Args:
        guard: of the job.
        mailboxes: reach the islands.
        training_seconds: that islands have for their inner steps, and to send what they made.
        query_seconds: that they have to answer a question.
        server_rate: share of the way of what the updates become that the state moves (DiLoCo's outer learning rate).
    """

    def __init__(
        self,
        guard: Guard,
        mailboxes: Mailboxes,
        *,
        training_seconds: float = 600.0,
        query_seconds: float = 30.0,
        server_rate: float = 1.0,
    ) -> None:
        self.gated: Gated | None = None
        """The rulings of the last round; none when it could not take place."""
        self._guard = guard
        self._mailboxes = mailboxes
        self._training = training_seconds
        self._query = query_seconds
        self._rate = server_rate
        self._admission = Admission[int](guard, training_seconds + 2 * query_seconds + _GATING_SECONDS)
        self._rounds = 0

    def round(self, state: Mapping[str, Tensor], reference: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Return the state after a round: moved by what the accepted updates became, else as it was.

        Args:
            state: the global model's, on the CPU.
            reference: the update that trusted data yields; none compares updates with one another, for which it takes
                four of them.

        Raises:
            ControlPlaneError: the guard may not open rounds, or asks wrongly.
            ValueError: the state has no tensor that can be guarded; the reference does not fit.
        """
        self._rounds += 1
        self.gated = None
        opened = self._admission.open(self._ask, self._mailboxes.islands, state, f"outer-{self._rounds}")
        if opened is None:
            return dict(state)
        sealed = opened.sealed
        question = {STAGE: "train", **sealed.terms.to_dict()}
        weights = {name: state[name] for name in sealed.manifest.tensors}
        answers = self._mailboxes.ask(opened.subjects, question, self._training, weights)
        credentials = self._credentials(sealed, answers)
        submissions = [
            self._submission(sealed, island, subject, answers[island], credentials[island])
            for island, subject in opened.subjects.items()
            if island in answers and not self._is_left_out(sealed, subject, answers[island])
        ]
        for island in opened.subjects.keys() - answers.keys():
            self._guard.drop("gate", "absent", subject=opened.subjects[island], round_id=sealed.terms.round_id)
        self.gated = self._guard.gate(sealed, submissions, reference=reference)
        return self._moved(sealed, self.gated, state)

    def end(self) -> None:
        """Tell the islands that there is no round any more."""
        self._mailboxes.tell({STAGE: "end"})

    def _moved(self, sealed: SealedRound, gated: Gated, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        step = gated.aggregate(sealed.aggregation)
        after = dict(state)
        if step is not None:
            after = moved(state, step, self._rate)
            recipe = Recipe(method=sealed.aggregation, server_rate=self._rate)
            self._guard.record(sealed, gated, state, after, [recipe])
        return self._guard.rollback(after) or after

    def _ask(self, islands: Sequence[int], question: Mapping[str, str]) -> dict[int, Shown]:
        answers = self._mailboxes.ask(islands, question, self._query, None)
        return {island: None if FAILED in answer.words else answer.words for island, answer in answers.items()}

    def _credentials(self, sealed: SealedRound, answers: Mapping[int, Answer]) -> dict[int, Credentials | None]:
        """Return what came with each update; islands whose credentials ran out meanwhile are asked once more."""
        shown = {island: _shown(answer.words) for island, answer in answers.items()}
        stale = [island for island, one in shown.items() if one is not None and self._guard.is_stale(one)]
        fresh = self._ask(stale, {STAGE: "submit", **sealed.terms.to_dict()}) if stale else {}
        return {**shown, **{island: _shown(words or {}) or shown[island] for island, words in fresh.items()}}

    def _is_left_out(self, sealed: SealedRound, subject: str, answer: Answer) -> bool:
        cause = next((word for word in (FAILED, DECLINED) if word in answer.words), "")
        if cause:
            self._guard.drop("gate", cause, subject=subject, round_id=sealed.terms.round_id)
        return bool(cause)

    def _submission(
        self, sealed: SealedRound, island: int, subject: str, answer: Answer, credentials: Credentials | None
    ) -> Submission:
        """Return what came. Of another form than the round's nothing is taken in, and the gate refuses what is none."""
        fits = answer.specs == sealed.manifest.tensors
        update = self._mailboxes.receive(island, answer) if fits else {}
        claimed = str(answer.words.get("examples", ""))
        examples = int(claimed) if claimed.isdecimal() and len(claimed) <= _LONGEST_CLAIM else 0
        return Submission(subject, update, examples, credentials)


def _shown(words: Mapping[str, object]) -> Credentials | None:
    try:
        return Credentials.from_dict(words)
    except ValueError:
        return None
