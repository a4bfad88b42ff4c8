"""The adapter: what makes the toy backend keep the seam. Copy it, and put your backend's calls where the toy's are.

Two halves, as everywhere: `GuardedClient` answers on the device, `guarded_rounds` asks on the server. Between them go
only values that any transport carries: texts (`Introduction`, `RoundTerms`, `Credentials`) and arrays.

The rule of the house: what a device does wrong is a value, never an exception. `guard.drop` is the one way out.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor

from adapters.credentials import Credentials, Introduction, RoundTerms
from adapters.errors import ControlPlaneError, TooMany, Unavailable
from adapters.guard import Guard, Point, Refused, SealedRound, Submission
from adapters.guard.rounds import Weights
from adapters.member import Member
from adapters.rollback import Recipe, moved
from adapters.screening import update_digest
from examples.adapter_template.backend import Message, Server

Train = Callable[[Mapping[str, Tensor]], tuple[Mapping[str, object], int]]
"""Your training: from weights to an update (trained minus received), and the examples behind it."""

_ANSWER_SECONDS = 10.0
"""How long clients have to answer a question without training. Never wait without a bound."""

Shown = TypeVar("Shown", Introduction, Credentials)


class GuardedClient:
    """The half on the device: answers the server's questions as one member.

    Nothing here protects the server: the device owns this process, and can run another program in it. It gives an
    honest device what the server will ask for.
    """

    def __init__(self, member: Member, train: Train) -> None:
        self._member = member
        self._train = train

    def __call__(self, question: Message) -> Message:
        """Answer; a device that is not given what it asks for says so, and its process goes on."""
        try:
            return self._answer(question)
        except ControlPlaneError as error:
            return Message({"declined": type(error).__name__})

    def _answer(self, question: Message) -> Message:
        if question.words["do"] == "identify":
            return Message(self._member.introduce(question.words["audience"]).to_dict())
        terms = RoundTerms.from_dict(question.words)
        if question.words["do"] == "pull":
            return Message(self._member.pull(terms).to_dict())
        state = {name: torch.from_numpy(array.copy()) for name, array in question.arrays.items()}
        received = Weights.of(state)
        if received.digest != terms.model_digest:
            # Whatever came, it is not what this round is about; do not train on it.
            return Message({"declined": "wrong_digest"})
        update, examples = self._train(state)
        # The proof that goes with the update names its digest: nobody can change it on its way.
        shown = self._member.submit(terms, update_digest(update, received.manifest))
        arrays = {name: value.numpy() for name, value in update.items() if isinstance(value, Tensor)}
        return Message({**shown.to_dict(), "examples": str(examples)}, arrays)


def guarded_rounds(
    server: Server, guard: Guard, state: dict[str, Tensor], rounds: int, *, training_seconds: float, open_seconds: float
) -> dict[str, Tensor]:
    """The half on the server: run rounds, and return the weights after the last one."""
    names: dict[int, str] = {}
    for _ in range(rounds):
        state = _Round(server, guard, names).run(state, training_seconds, open_seconds)
    return state


class _Round:
    """One round, point by point."""

    def __init__(self, server: Server, guard: Guard, names: dict[int, str]) -> None:
        self._server = server
        self._guard = guard
        self._names = names

    def run(self, state: dict[str, Tensor], training_seconds: float, open_seconds: float) -> dict[str, Tensor]:
        """Return the state after the round; when it cannot take place, the state as it was."""
        # 1. Identify: who is behind each connection? Its name is proven by the key that it is derived from.
        self._identify()
        # 2. Admit: who of them may be asked at all? One connection a name: a second one is somebody's copy of the key.
        invited = self._admitted()
        if not invited:
            return state
        # 3. Seal: which weights, which shape of update, which members. The control plane opens the round, or does not.
        try:
            sealed = self._guard.seal(state, list(invited.values()), duration_seconds=open_seconds)
        except (Unavailable, TooMany):
            self._guard.drop("seal", "unavailable")
            return state
        # 4. Authorize each pull, and only then let weights out.
        allowed = self._pulls(sealed, invited)
        weights = {name: tensor.numpy() for name, tensor in state.items()}
        question = Message({"do": "train", **sealed.terms.to_dict()}, weights)
        answers = self._server.ask(allowed, question, training_seconds)
        # 5. Gate: everything that came, in one call. What is not in `accepted` afterwards must not reach the model.
        submissions = [
            _submission(subject, answers[client])
            for client, subject in allowed.items()
            if client in answers and not self._is_none(answers[client], subject, sealed)
        ]
        for client in allowed.keys() - answers.keys():
            self._guard.drop("gate", "absent", subject=allowed[client], round_id=sealed.terms.round_id)
        gated = self._guard.gate(sealed, submissions)
        # 6. Only now your own aggregation; here the one that policy picked. Nothing accepted: the model stays.
        step = gated.aggregate(sealed.aggregation)
        if step is None:
            return state
        after = moved(state, step)
        # Keep the round, and undo what was ordered, if the guard has an archive.
        self._guard.record(sealed, gated, state, after, [Recipe(method=sealed.aggregation)])
        return self._guard.rollback(after) or after

    def _identify(self) -> None:
        strangers = [client for client in self._server.clients if client not in self._names]
        question = Message({"do": "identify", "audience": self._guard.audience})
        answers = self._server.ask(strangers, question, _ANSWER_SECONDS)
        for client in strangers:
            shown = self._read(Introduction, "identify", answers.get(client), "", "")
            name = self._guard.identify(shown) if shown else None
            if isinstance(name, str):
                self._names[client] = name

    def _admitted(self) -> dict[int, str]:
        admitted, invited = set(self._guard.admit(self._names.values())), dict[int, str]()
        for client, name in self._names.items():
            if name in invited.values():
                self._guard.drop("admit", "not_invited", subject=name)
            elif name in admitted:
                invited[client] = name
        return invited

    def _pulls(self, sealed: SealedRound, invited: Mapping[int, str]) -> dict[int, str]:
        question = Message({"do": "pull", **sealed.terms.to_dict()})
        answers = self._server.ask(invited, question, _ANSWER_SECONDS)
        allowed = {}
        for client, name in invited.items():
            shown = self._read(Credentials, "pull", answers.get(client), name, sealed.terms.round_id)
            if shown is not None and shown.subject != name:
                # They may well hold; but they are not those of whoever sits behind this connection.
                self._guard.drop("pull", "wrong_subject", subject=name, round_id=sealed.terms.round_id)
            elif shown is not None and not isinstance(self._guard.authorize_pull(sealed, shown), Refused):
                allowed[client] = name
        return allowed

    def _read(
        self, kind: type[Shown], point: Point, answer: Message | None, subject: str, round_id: str
    ) -> Shown | None:
        """Return what a client showed, or none for one that is left out, which is counted."""
        try:
            return kind.from_dict(answer.words if answer else {})
        except ValueError:
            self._guard.drop(point, _why(answer), subject=subject, round_id=round_id)
            return None

    def _is_none(self, answer: Message, subject: str, sealed: SealedRound) -> bool:
        if not {"declined", "failed"} & answer.words.keys():
            return False
        self._guard.drop("gate", _why(answer), subject=subject, round_id=sealed.terms.round_id)
        return True


def _submission(subject: str, answer: Message) -> Submission:
    """Return what came as it came: whatever is wrong with it, the gate finds, counts and reports."""
    try:
        credentials = Credentials.from_dict(answer.words)
    except ValueError:
        credentials = None
    claimed = answer.words.get("examples", "")
    examples = int(claimed) if claimed.isdecimal() and len(claimed) < 20 else 0
    return Submission(subject, dict(answer.arrays), examples, credentials)


def _why(answer: Message | None) -> str:
    if answer is None:
        return "absent"
    return next((word for word in ("declined", "failed") if word in answer.words), "malformed")
