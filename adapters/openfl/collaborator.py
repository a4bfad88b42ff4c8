"""OpenFL's collaborator as a member: the same tasks and runners, with what the aggregator asks for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openfl.component.collaborator.collaborator import Collaborator
from torch import Tensor

from adapters.member import Member
from adapters.openfl.answering import AnsweringClient
from adapters.openfl.tensors import MODEL, tensors_of


class GuardedCollaborator(Collaborator):  # type: ignore[misc] # openfl is read without its types
    """Name it in ``plan.yaml`` in the place of OpenFL's collaborator.

    Args:
        member: folder of the enrolled device: its key and identity; relative to the workspace. ``{collaborator}`` in it
            is the collaborator's name.
        settings: of OpenFL's collaborator.
    """

    def __init__(self, *, member: str = "local/identity", **settings: Any) -> None:
        self._folder = Path(member.replace("{collaborator}", str(settings["collaborator_name"])))
        client = settings.pop("client")
        # OpenFL's default is one list for all collaborators of a process.
        settings["callbacks"] = list(settings.get("callbacks") or [])
        super().__init__(client=client, **settings)
        self.client = AnsweringClient(client, self.member_of, self.tensor_codec, self._received)

    def member_of(self) -> Member:
        """Return the device that this collaborator is; it is closed after each use.

        Raises:
            FileNotFoundError: none was enrolled in the folder.
            KeyFileError: its key or identity cannot be used.
        """
        return Member.open(self._folder)

    def do_task(self, task: Any, round_number: int) -> dict[str, float]:
        """As OpenFL's; when it fails, the aggregator is told before the fault goes on."""
        try:
            found: dict[str, float] = super().do_task(task, round_number)
        except Exception as error:
            self.client.fail(round_number, getattr(task, "name", task), error)
            raise
        return found

    def _received(self, number: int) -> Mapping[str, Tensor]:
        """Return the weights that came for a round."""
        kept = self.tensor_db.get_tensors_by_filter(
            lambda row: (
                row["round"] == number and row["origin"] == self.aggregator_uuid and tuple(row["tags"]) == (MODEL,)
            )
        )
        return tensors_of({key.tensor_name: array for key, array in kept.items()})
