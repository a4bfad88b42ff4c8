"""Rounds as they are opened: asked for, measured against what a backend can do, and fixed."""

from collections.abc import Sequence

from adapters.client import SyncControlPlane
from adapters.credentials import RoundTerms
from adapters.errors import Exposing, NoiseOwed, Unavailable
from adapters.guard.patience import patiently
from adapters.guard.rounds import SealedRound, Weights
from controlplane.capabilities.grouping import partition
from controlplane.contracts.rounds import Round, RoundRequest


class Opening:
    """Opens the rounds of one run of a job.

    Args:
        plane: the control plane.
        model: the model's identifier.
        run: begins the ids of rounds.
        patience_seconds: how long to go on asking a control plane that cannot answer.
    """

    def __init__(self, plane: SyncControlPlane, model: str, run: str, patience_seconds: float) -> None:
        self._plane = plane
        self._model = model
        self._run = run
        self._patience = patience_seconds
        self._rounds = 0

    def next_id(self, label: str | None) -> str:
        """Return an id that no round of this run had, with a label at its end where there is one."""
        self._rounds += 1
        return f"{self._run}-{self._rounds}" + (f"-{label}" if label else "")

    def open(
        self, round_id: str, weights: Weights, members: Sequence[str], duration_seconds: float
    ) -> tuple[RoundRequest, Round]:
        """Open a round; return what was asked for and what came.

        Raises:
            ControlPlaneError: it could not be opened; `Unavailable` once patience was at an end.
            ValueError: an argument is out of bounds.
        """
        request = RoundRequest(
            id=round_id,
            model=self._model,
            model_digest=weights.digest,
            members=list(members),
            duration_seconds=duration_seconds,
        )
        return request, patiently(lambda: self._plane.open_round(request), self._patience)


def require_able(opened: Round, *, sums: bool, noises: bool) -> None:
    """Return if a backend can do what policy asks of a round.

    Args:
        opened: the round.
        sums: the backend makes secure sums.
        noises: the backend adds noise to the sum of updates.

    Raises:
        Exposing: policy lets this side see sums alone, and the backend makes none.
        NoiseOwed: policy asks for noise that the backend does not add.
    """
    if opened.confidentiality == "grouped" and not sums:
        raise Exposing(f"the model {opened.model} asks for secure sums, and this backend sends updates as they are")
    noise = opened.privacy
    if noise is not None and (not noises or opened.confidentiality == "grouped" or noise.sampling is not None):
        # What is never seen alone cannot be clipped, and noise hides clipped updates alone. Nobody draws members.
        raise NoiseOwed(f"the model {opened.model} asks for noise in the sum of updates, and this backend adds none")


def fixed(request: RoundRequest, opened: Round, weights: Weights, audience: str) -> SealedRound:
    """Return a round as its members are to know it.

    Args:
        request: what was asked for.
        opened: what came.
        weights: that it begins with.
        audience: the enforcement point that its capabilities are for.

    Raises:
        Unavailable: it is summed in groups, and nothing is said of them.
    """
    members = tuple(request.members)
    return SealedRound(
        RoundTerms(request.id, request.model, weights.digest, audience),
        weights.manifest,
        members,
        opened.aggregation,
        opened.confidentiality,
        _groups(opened, members),
        opened.privacy,
    )


def _groups(opened: Round, members: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Who is summed with whom; nobody where updates are seen."""
    if opened.confidentiality != "grouped":
        return ()
    if opened.grouping is None or opened.group_size is None:
        raise Unavailable("the control plane opened a round for groups and says nothing of them: compare versions")
    return tuple(partition(opened.grouping, members, opened.group_size))
