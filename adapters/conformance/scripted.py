"""A client that does what its script says. All that goes wrong in a case goes wrong here, never in a backend."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self, Unpack

from adapters.calls import CallOptions
from adapters.conformance.script import Script
from adapters.credentials import Credentials, RoundTerms
from adapters.member import Member

if TYPE_CHECKING:
    from torch import Tensor

_BEHAVIOURS = ("adapters.conformance.presenting", "adapters.conformance.spoiling")


@dataclass(frozen=True)
class Trained:
    """What a client's training came to.

    Attributes:
        update: by name, trained minus received; whatever a hostile client sends.
        examples: training examples behind it, as the client claims.
    """

    update: Mapping[str, object]
    examples: int

    def weights(self, received: "Mapping[str, Tensor]") -> dict[str, object]:
        """Return the same as weights, for a backend whose clients send these; what cannot be added stays as it is.

        Args:
            received: what the training began with.
        """
        from torch import Tensor

        return {
            name: received[name] + value
            if isinstance(value, Tensor) and name in received and value.shape == received[name].shape
            else value
            for name, value in self.update.items()
        }


class Scripted(Member):
    """A member that behaves as the script in its folder says; this class is the honest one.

    Open it with `Scripted.open`, wherever the client lives; a context manager, cheap to open.
    """

    _kinds: ClassVar[dict[str, type["Scripted"]]] = {}
    script: Script

    def __init_subclass__(cls, behaviour: str = "", **options: object) -> None:
        """Make a behaviour known by its name."""
        super().__init_subclass__(**options)
        if behaviour:
            Scripted._kinds[behaviour] = cls

    @classmethod
    def open(cls, folder: Path, **options: Unpack[CallOptions]) -> Self:
        """Return the client whose key and script are in ``folder``.

        Args:
            folder: one of `Job.clients`.
            options: how the control plane is reached.

        Raises:
            FileNotFoundError: there is none.
            KeyFileError: its key or identity cannot be used.
        """
        for name in _BEHAVIOURS:
            import_module(name)
        script = Script.read(folder)
        kind = Scripted._kinds.get(script.behaviour, Scripted)
        member = super(Scripted, kind).open(folder, **options)
        member.script = script
        return member  # type: ignore[return-value] # the kind is always one of this class

    def submit(self, terms: RoundTerms, digest: str) -> Credentials:
        """As `Member.submit`; then what the script has happen at that moment."""
        shown = super().submit(terms, digest)
        self.script.happen("submitting")
        return shown

    def train(self, state: "Mapping[str, Tensor]") -> Trained:
        """Return what training on these weights comes to.

        Args:
            state: the round's weights.

        Raises:
            Exception: of a client whose script says so, whatever a training can raise.
        """
        from adapters.conformance.training import EXAMPLES, honest_update

        turn = self.script.next_turn()
        self.script.happen("training")
        return Trained(honest_update(state, self.script.number, turn), EXAMPLES)
