"""What a plan says of the guard: the mapping ``guard`` among the aggregator's settings."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openfl.federated import Plan

from adapters.guard import Guard
from adapters.openfl.trusted import TrustedData


@dataclass(frozen=True)
class GuardSettings:
    """The guard of a federation.

    Attributes:
        audience: the name of this enforcement point; capabilities must be for it.
        model: the model's identifier in ``policies/data``.
        folder: of the enrolled aggregator: its key and identity; relative to the workspace.
        members: collaborator -> subject that may stand behind it; none for whoever proves an enrolled key.
        archive: folder that keeps the updates of rounds, so that some can be undone; none keeps nothing.
        reference: template and settings of an object that has a `TrustedData.reference`, as plans name objects; none
            compares updates with one another, which needs at least four.
        training_task: the task whose results are updates.
        gather_seconds: how long the first round waits for collaborators to come.
        duration_seconds: how long they have to do a round's tasks; nobody waits longer for one that does not answer.
        query_seconds: how long they have to answer a question.
        poll_seconds: how long they wait, in whole seconds, when there is nothing for them to do.
        linger_seconds: how long the aggregator waits, after the last round, for collaborators to hear of it.
        patience_seconds: how long to go on asking a control plane that cannot answer.
        segment: from which devices are taken; none for any.
    """

    audience: str
    model: str
    folder: str = "local/identity"
    members: dict[str, str] | None = None
    archive: str | None = None
    reference: dict[str, Any] | None = None
    training_task: str = "train"
    gather_seconds: float = 600.0
    duration_seconds: float = 600.0
    query_seconds: float = 30.0
    poll_seconds: int = 1
    linger_seconds: float = 60.0
    patience_seconds: float = 10.0
    segment: str | None = None

    def opened(self) -> Guard:
        """Return the guard.

        Raises:
            FileNotFoundError: no aggregator was enrolled in the folder.
            KeyFileError: its key or identity cannot be used.
            ArchiveError: the archive is damaged, somebody else's, or in use.
        """
        return Guard.open(
            Path(self.folder),
            audience=self.audience,
            model=self.model,
            archive=None if self.archive is None else Path(self.archive),
            members=None if self.members is None else set(self.members.values()),
            patience_seconds=self.patience_seconds,
            segment=self.segment,
        )

    def trusted(self) -> TrustedData | None:
        """Return what trains on data that the server trusts, or none.

        Raises:
            TypeError: what is named has no such method.
        """
        if self.reference is None:
            return None
        found = Plan.build(self.reference["template"], dict(self.reference.get("settings") or {}))
        if not isinstance(found, TrustedData):
            raise TypeError(f"{self.reference['template']} has no method `reference(round_number, weights)`")
        return found
