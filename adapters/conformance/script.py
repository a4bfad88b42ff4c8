"""What a scripted client is to do: a file in its folder, so that it does so in whatever process it is opened."""

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, Self

from adapters.credentials import Credentials, RoundTerms

Moment = Literal["training", "submitting"]
"""When a client has something happen: while it trains, or once it has its credentials to submit."""

_FILE = "script.json"
_TRAININGS = "trainings"
_RELEASED = "released"
_GLANCE_SECONDS = 0.02
_LONGEST_WAIT_SECONDS = 30.0
_LONGEST_HANG_SECONDS = 600.0


@dataclass(frozen=True)
class Script:
    """What a client does.

    Attributes:
        behaviour: its name in `adapters.conformance.misbehaving`.
        number: of the client; its noise follows from it.
        signals: folder in which clients and the kit tell each other what is to happen.
        training_seconds: how long a client may take at most.
        victim: folder of another client of the job, whose key this one has got hold of.
        decoy: terms of another round, in which this client may take part.
        kept: credentials that ran out long ago.
        event: what it has the kit do, once; empty for nothing.
        moment: when.
    """

    behaviour: str
    number: int
    signals: Path
    training_seconds: float
    victim: Path | None = None
    decoy: RoundTerms | None = None
    kept: Credentials | None = None
    event: str = ""
    moment: Moment = "training"
    folder: Path = field(default=Path(), compare=False)

    def write(self, folder: Path) -> None:
        """Leave the script in a client's folder.

        Raises:
            OSError: the folder cannot be written.
        """
        written = {
            **asdict(self),
            "signals": str(self.signals),
            "victim": str(self.victim) if self.victim else None,
            "folder": str(folder),
        }
        (folder / _FILE).write_text(json.dumps(written))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the script of a client's folder.

        Raises:
            OSError: there is none.
        """
        found = json.loads((folder / _FILE).read_text())
        return cls(
            **{
                **found,
                "signals": Path(found["signals"]),
                "victim": Path(found["victim"]) if found["victim"] else None,
                "decoy": RoundTerms.from_dict(found["decoy"]) if found["decoy"] else None,
                "kept": Credentials.from_dict(found["kept"]) if found["kept"] else None,
                "folder": folder,
            }
        )

    def next_turn(self) -> int:
        """Return how often the client trained before, and count this time."""
        turn = trainings(self.folder)
        (self.folder / _TRAININGS).write_text(str(turn + 1))
        return turn

    def happen(self, moment: Moment) -> None:
        """Have the kit do what the script says for this moment, and wait until it is done; once.

        Raises:
            TimeoutError: the kit did not.
        """
        if not self.event or moment != self.moment:
            return
        asked = asked_for(self.signals, self.event)
        try:
            asked.touch(exist_ok=False)
        except FileExistsError:
            return
        _wait(done(self.signals, self.event), _LONGEST_WAIT_SECONDS)

    def hang(self) -> None:
        """Do nothing until the case is over."""
        try:
            _wait(self.signals / _RELEASED, _LONGEST_HANG_SECONDS)
        except TimeoutError:
            return


def trainings(folder: Path) -> int:
    """Return how often the client of a folder was given weights to train on."""
    try:
        return int((folder / _TRAININGS).read_text() or 0)
    except FileNotFoundError:
        return 0


def asked_for(signals: Path, event: str) -> Path:
    """Return the file by which a client asks for an event."""
    return signals / f"{event}.asked"


def done(signals: Path, event: str) -> Path:
    """Return the file by which the kit says that it is done."""
    return signals / f"{event}.done"


def release(signals: Path) -> None:
    """Let go on whoever hangs: the case is over."""
    (signals / _RELEASED).touch()


def _wait(path: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path.name} did not come within {seconds:g} s")
        time.sleep(_GLANCE_SECONDS)
