"""What a backend under test is given, and what it gives back. Both travel between processes as files of a folder."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    # The list of cases is shown without torch.
    from torch import Tensor

    from adapters.guard import Guard

_JOB, _ENDED, _INITIAL, _FINAL = "job.json", "ended.json", "initial.safetensors", "final.safetensors"


@dataclass(frozen=True)
class Pace:
    """How long things may take with a backend. Its module may have another one, as ``PACE``.

    Attributes:
        training_seconds: from the weights to a client's answer; what comes later must not be taken in, and nobody
            waits longer for it.
        patience_seconds: how long the guard goes on asking a control plane that cannot answer.
        round_seconds: how long a round stays open at the control plane.
        job_seconds: a job that has not ended by then is ended, and fails.
    """

    training_seconds: float = 2.0
    patience_seconds: float = 15.0
    round_seconds: float = 60.0
    job_seconds: float = 60.0


@dataclass(frozen=True)
class Job:
    """A federated job to run, guarded.

    Attributes:
        folder: the job's own; a backend may write what it needs into a folder below it.
        aggregator: folder of the enrolled aggregator (`Guard.open`).
        gateway: folder of an enrolled gateway, for a backend with an enforcement point before its server.
        clients: a folder for each client, with its key and its script; `Scripted.open` makes a member of it, in
            whatever process the client lives.
        rounds: how many to run, whoever misbehaves.
        audience: name of the enforcement point.
        model: identifier of the model in ``policies/data``.
        pace: how long things may take.
        least: how many clients a round can always begin with; the others may be kept out by policy.
        is_summed: policy lets sums of groups alone be seen; a backend that makes none cannot open a round.
    """

    folder: Path
    aggregator: Path
    gateway: Path
    clients: tuple[Path, ...]
    rounds: int
    audience: str
    model: str
    pace: Pace = field(default_factory=Pace)
    least: int = 0
    is_summed: bool = False

    @property
    def initial(self) -> "dict[str, Tensor]":
        """The weights that the first round begins with: a few small float32 tensors by name."""
        from safetensors.torch import load_file

        return load_file(self.folder / _INITIAL)

    def reference(self, state: "Mapping[str, Tensor]") -> "dict[str, Tensor] | None":
        """Return the update that the kit's own data yields, for a backend that makes secure sums; else none.

        It is for `Guard.gate_sums`: two groups are too few to be compared with each other.

        Args:
            state: the weights that the round begins with.
        """
        from adapters.conformance.training import reference_update

        return reference_update(state) if self.is_summed else None

    def guard(self, **options: Any) -> "Guard":
        """Return the job's guard, a context manager.

        Args:
            options: of `Guard`, beside what the job says.

        Raises:
            FileNotFoundError: the aggregator was never enrolled.
            KeyFileError: its key or identity cannot be used.
        """
        from adapters.guard import Guard

        given = {"patience_seconds": self.pace.patience_seconds, **options}
        return Guard.open(self.aggregator, audience=self.audience, model=self.model, **given)

    def write(self, initial: "Mapping[str, Tensor]") -> None:
        """Leave the job in its folder, for another process.

        Args:
            initial: the weights that it begins with.

        Raises:
            OSError: the folder cannot be written.
        """
        from safetensors.torch import save_file

        save_file(dict(initial), self.folder / _INITIAL)
        written = {**asdict(self), "folder": str(self.folder), "aggregator": str(self.aggregator)}
        written["gateway"] = str(self.gateway)
        (self.folder / _JOB).write_text(json.dumps({**written, "clients": [str(client) for client in self.clients]}))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the job of a folder.

        Raises:
            OSError: there is none.
        """
        found = json.loads((folder / _JOB).read_text())
        return cls(
            folder=folder,
            aggregator=Path(found["aggregator"]),
            gateway=Path(found["gateway"]),
            clients=tuple(Path(client) for client in found["clients"]),
            rounds=found["rounds"],
            audience=found["audience"],
            model=found["model"],
            pace=Pace(**found["pace"]),
            least=found["least"],
            is_summed=found["is_summed"],
        )


@dataclass(frozen=True)
class Ended:
    """How a job ended.

    Attributes:
        state: the weights after the last round.
        rounds: how many ran.
        report: what the guard did, as `report_of` has it.
    """

    state: "Mapping[str, Tensor]"
    rounds: int
    report: Mapping[str, Any]

    def write(self, folder: Path) -> None:
        """Leave it in the job's folder.

        Raises:
            OSError: the folder cannot be written.
        """
        from safetensors.torch import save_file

        plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in self.state.items()}
        save_file(plain, folder / _FINAL)
        (folder / _ENDED).write_text(json.dumps({"rounds": self.rounds, "report": dict(self.report)}))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return how the job of a folder ended.

        Raises:
            OSError: it has not.
        """
        from safetensors.torch import load_file

        found = json.loads((folder / _ENDED).read_text())
        return cls(load_file(folder / _FINAL), found["rounds"], found["report"])


def report_of(guard: "Guard") -> dict[str, Any]:
    """Return a guard's report as JSON: ``rounds`` in order, and ``drops`` as (point, cause, how often)."""
    report = guard.report
    rounds = [
        {
            "round_id": one.round_id,
            "members": one.members,
            "pulled": one.pulled,
            "submitted": one.submitted,
            "accepted": one.accepted,
            "drops": [asdict(drop) for drop in one.drops],
            "verdicts": {
                subject: {
                    "decision": verdict.decision,
                    "decision_id": verdict.decision_id,
                    "reasons": [reason.code for reason in verdict.reasons],
                }
                for subject, verdict in one.verdicts.items()
            },
        }
        for one in report.rounds
    ]
    drops = [[point, cause, count] for (point, cause), count in report.drops.items()]
    return {"rounds": rounds, "drops": drops}
