"""Before weights leave: collaborators are asked over the desk, and each whose pull holds has a ticket."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from adapters.admission import STAGE, Admission, Answer
from adapters.guard import Guard, SealedRound
from adapters.openfl.desk import Desk
from adapters.openfl.messages import FAILED, TASK, TICKET
from adapters.openfl.settings import GuardSettings

_GATING_SECONDS = 60.0
"""A round stays open for as long as updates are screened and reported after the last one came."""

_SHORTEST_TICKET = 32


@dataclass(frozen=True)
class OpenRound:
    """A sealed round and the collaborators that were let in.

    Attributes:
        sealed: the round.
        sent: the weights.
        subjects: by the name of a collaborator whose pull held.
        tickets: by that name, what its requests for weights must bear.
    """

    sealed: SealedRound
    sent: Mapping[str, Tensor]
    subjects: Mapping[str, str]
    tickets: Mapping[str, str]


class Opening:
    """Opens rounds.

    Args:
        guard: of the federation.
        desk: reaches the collaborators.
        names: of all that the federation's list of collaborators has.
        settings: of the plan.
    """

    def __init__(self, guard: Guard, desk: Desk, names: Collection[str], settings: GuardSettings) -> None:
        self._guard = guard
        self._desk = desk
        self._names = list(names)
        self._settings = settings
        self._is_first = True
        self._tickets: dict[str, str] = {}
        seconds = settings.duration_seconds + 2 * settings.query_seconds + _GATING_SECONDS
        self._admission: Admission[str] = Admission(guard, seconds, settings.members)

    def open(self, sent: Mapping[str, Tensor], label: str) -> OpenRound | None:
        """Return the round in which weights may leave, or none when it cannot take place.

        Args:
            sent: the weights.
            label: ends the round's id.

        Raises:
            ControlPlaneError: this side is not allowed to open rounds, or asks wrongly.
            ValueError: there is no weight that can be guarded.
        """
        self._tickets = {}
        admitted = self._admission.open(self._ask, self._names, sent, label)
        if admitted is None:
            return None
        subjects = {name: subject for name, subject in admitted.subjects.items() if name in self._tickets}
        for name, subject in admitted.subjects.items():
            if name not in subjects:
                self._guard.drop("pull", "malformed", subject=subject, round_id=admitted.sealed.terms.round_id)
        return OpenRound(admitted.sealed, sent, subjects, {name: self._tickets[name] for name in subjects})

    def _ask(self, names: Sequence[str], question: Mapping[str, str]) -> Mapping[str, Answer]:
        seconds = self._settings.query_seconds
        if question[STAGE] == "identify" and self._is_first:
            answers = self._desk.gather(names, question, self._settings.gather_seconds)
            self._is_first = False
        else:
            answers = self._desk.ask(names, {**question, TASK: self._settings.training_task}, seconds)
        if question[STAGE] == "pull":
            # What came beside the proof, and nobody else can know.
            shown = {name: answer.get(TICKET, "") for name, answer in answers.items()}
            self._tickets = {name: ticket for name, ticket in shown.items() if len(ticket) >= _SHORTEST_TICKET}
        return {name: None if FAILED in answer else answer for name, answer in answers.items()}
