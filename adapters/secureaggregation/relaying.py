"""A secure sum as bytes, for any transport: what a server sends next to whom, and what a client answers.

A transport asks `Desk.due` for what is to be sent, brings back what `Participant.answer` makes of it, hands that to
`Desk.receive`, and calls `Desk.advance` when all have answered or time is up. It needs to know who is at the other end
of a connection, and nothing of the protocol.
"""

from collections.abc import Callable

from adapters.secureaggregation.client import Client
from adapters.secureaggregation.errors import Aborted
from adapters.secureaggregation.masks import Words
from adapters.secureaggregation.messages import (
    Advertisement,
    Agreed,
    Agreement,
    Delivery,
    Revealed,
    Roster,
    Sharing,
    Stage,
    Survivors,
    read,
    read_masked,
    write,
    write_masked,
)
from adapters.secureaggregation.server import Refusal, Server, Sum
from adapters.secureaggregation.session import Session

STAGES: tuple[Stage, ...] = ("advertise", "share", "mask", "agree", "reveal")


class Desk:
    """The server's side of one session.

    Args:
        server: of a session that has not begun.
        session: its.
    """

    def __init__(self, server: Server, session: Session) -> None:
        self._server = server
        self._vector_bytes = session.length * session.bits // 8
        self._stage = 0
        self._due: dict[str, bytes] = {}
        self.sum: Sum | None = None

    @property
    def stage(self) -> Stage:
        """What clients do now; the last stage also once the session has ended."""
        return STAGES[self._stage]

    def due(self, name: str) -> bytes | None:
        """Return what a client is to be sent in this stage, or none for one that has no part in it.

        In the first stage it is empty, for any member.
        """
        if self.stage == "advertise":
            return b""
        return self._due.get(name)

    def waiting(self) -> list[str]:
        """Return those that were due something in this stage and have not answered."""
        answered = set(self._server.participants(self.stage))
        return [name for name in self._due if name not in answered]

    def receive(self, name: str, stage: Stage, raw: bytes) -> Refusal:
        """Take in what a client answered, or say what is wrong with it.

        Args:
            name: who is at the other end, as the transport knows.
            stage: that it is of.
            raw: as it arrived.
        """
        if stage != self.stage or self.sum is not None:
            return "late"
        server = self._server
        if stage == "mask":
            masked = read_masked(raw, self._vector_bytes)
            return "malformed" if masked is None else server.take_masked(name, masked)
        if stage == "advertise" and (advertisement := read(Advertisement, raw)) is not None:
            return server.take_advertisement(name, advertisement)
        if stage == "share" and (sharing := read(Sharing, raw)) is not None:
            return server.take_sharing(name, sharing)
        if stage == "agree" and (agreement := read(Agreement, raw)) is not None:
            return server.take_agreement(name, agreement)
        if stage == "reveal" and (revealed := read(Revealed, raw)) is not None:
            return server.take_revealed(name, revealed)
        return "malformed"

    def advance(self) -> None:
        """End this stage, whoever has not answered; after the last one there is the sum.

        Raises:
            Aborted: too few are left, or somebody cheated.
            Unsafe: no parameters are safe for so few clients.
        """
        server, done = self._server, self.stage
        if done == "advertise":
            self._to(server.participants(done), write(server.roster()))
        elif done == "share":
            self._due = {name: write(delivery) for name, delivery in server.deliveries().items()}
        elif done == "mask":
            self._to(server.participants(done), write(server.survivors()))
        elif done == "agree":
            self._to(server.participants(done), write(server.agreed()))
        else:
            self.sum = server.total()
            self._due = {}
            return
        self._stage += 1

    def _to(self, names: list[str], raw: bytes) -> None:
        self._due = dict.fromkeys(names, raw)


class Participant:
    """A client's side of one session.

    Args:
        client: that takes part.
        words: returns its values as `Scale.encode` makes them, once they are needed.
    """

    def __init__(self, client: Client, words: Callable[[], Words]) -> None:
        self._client = client
        self._words = words

    def answer(self, stage: Stage, raw: bytes) -> bytes:
        """Return what goes back to the server.

        Args:
            stage: as the server says.
            raw: as it arrived.

        Raises:
            Aborted: this client goes no further; nothing more is to be sent.
            Unsafe: no parameters are safe for so few clients.
        """
        client = self._client
        if stage == "advertise":
            return write(client.advertise())
        if stage == "share" and (roster := read(Roster, raw)) is not None:
            return write(client.share(roster))
        if stage == "mask" and (delivery := read(Delivery, raw)) is not None:
            return write_masked(client.mask(delivery, self._words()))
        if stage == "agree" and (survivors := read(Survivors, raw)) is not None:
            return write(client.agree(survivors))
        if stage == "reveal" and (agreed := read(Agreed, raw)) is not None:
            return write(client.reveal(agreed))
        raise Aborted("malformed", f"what arrived is no message of the stage {stage}")
