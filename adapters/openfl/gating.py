"""The end of a round: what came from collaborators becomes submissions, and what was accepted becomes results again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from openfl.pipelines import TensorCodec
from torch import Tensor

from adapters.admission import DECLINED, STAGE
from adapters.credentials import Credentials
from adapters.guard import Gated, Guard, Ruling, Submission
from adapters.guard.reports import MOST_DROPS
from adapters.guard.rulings import bounded_weights
from adapters.openfl.desk import Answer, Desk, Result, Taking
from adapters.openfl.messages import FAILED
from adapters.openfl.opening import OpenRound
from adapters.openfl.settings import GuardSettings
from adapters.openfl.tensors import TRAINED, common, encoded, metrics_of, update_of
from adapters.openfl.trusted import TrustedData


@dataclass(frozen=True)
class Ruled:
    """The rulings on a round's results.

    Attributes:
        gated: in the order of the submissions.
        accepted: by the name of the collaborator; none when nothing of it weighs anything.
    """

    gated: Gated
    accepted: Mapping[str, Ruling]


@dataclass(frozen=True)
class Again:
    """A task's results, made anew of what was ruled.

    Attributes:
        name: of the collaborator.
        task: that was done.
        weight: of the results, in place of the size of the data.
        tensors: OpenFL's.
    """

    name: str
    task: str
    weight: int
    tensors: list[Any]


class Gating:
    """Rules on a round's results.

    Args:
        guard: of the federation.
        desk: reaches the collaborators.
        codec: OpenFL's, of the plan's pipeline.
        settings: of the plan.
        trusted: trains on data which the aggregator trusts; none compares updates with one another.
    """

    def __init__(
        self, guard: Guard, desk: Desk, codec: TensorCodec, settings: GuardSettings, trusted: TrustedData | None
    ) -> None:
        self._guard = guard
        self._desk = desk
        self._codec = codec
        self._settings = settings
        self._trusted = trusted

    def rule(self, opened: OpenRound, taking: Taking) -> Ruled:
        """Return the rulings on what came; what is no submission is dropped."""
        round_id = opened.sealed.terms.round_id
        # Whoever has a certificate can ask in vain as often as it likes.
        for _ in range(min(self._desk.refusals(), MOST_DROPS)):
            self._guard.drop("pull", "not_invited", round_id=round_id)
        found: dict[str, Result] = {}
        for name, subject in opened.subjects.items():
            result = taking.results.get(name, {}).get(self._settings.training_task)
            if result is None or {DECLINED, FAILED} & result.ours.keys():
                self._guard.drop("gate", _cause(taking, name), subject=subject, round_id=round_id)
            else:
                found[name] = result
        shown = {name: _credentials(result.ours) for name, result in found.items()}
        shown.update(self._renewed(opened, shown))
        submissions = [
            Submission(
                subject=opened.subjects[name],
                update=update_of(result.tensors, self._codec, opened.sent),
                examples=max(0, result.size),
                credentials=shown[name],
            )
            for name, result in found.items()
        ]
        reference = None
        if submissions and self._trusted is not None:
            reference = self._trusted.reference(taking.number, opened.sent)
        gated = self._guard.gate(opened.sealed, submissions, reference=reference)
        rulings = zip(found, gated.rulings, strict=True)
        accepted = {name: ruling for name, ruling in rulings if ruling.accepted}
        # Of updates that all weigh nothing there is no mean.
        weighs = any(ruling.weight for ruling in accepted.values())
        return Ruled(gated, accepted if weighs else {})

    def again(
        self, opened: OpenRound, taking: Taking, ruled: Ruled, together: Mapping[str, Tensor] | None
    ) -> Iterator[Again]:
        """Give the results of those whose update was accepted: weights, finite metrics, bounded weights, no more.

        Args:
            opened: the round.
            taking: what came.
            ruled: the rulings.
            together: what the updates became, which takes the place of each; none for each its own.
        """
        for task in dict.fromkeys(task for name in ruled.accepted for task in taking.results.get(name, {})):
            came = {name: taking.results[name][task] for name in ruled.accepted if task in taking.results[name]}
            metrics = {name: metrics_of(result.tensors, self._codec) for name, result in came.items()}
            shared = sorted(common(list(metrics.values())), key=lambda key: (key.name, key.tags))
            weights = self._weights(task, came, ruled)
            for name in came:
                tensors = [
                    encoded(key.name, metrics[name][key], taking.number, self._codec, tags=key.tags, shown=key.is_shown)
                    for key in shared
                ]
                if task == self._settings.training_task:
                    trained = _trained(opened, ruled.accepted[name], together)
                    tensors += [
                        encoded(one, tensor.numpy(), taking.number, self._codec, tags=(TRAINED,), shown=False)
                        for one, tensor in trained.items()
                    ]
                yield Again(name, task, weights[name], tensors)

    def _weights(self, task: str, came: Mapping[str, Result], ruled: Ruled) -> dict[str, int]:
        if task == self._settings.training_task:
            return {name: ruled.accepted[name].weight for name in came}
        claims = [max(1, result.size) for result in came.values()]
        return dict(zip(came, bounded_weights(claims, self._guard.weight_ratio), strict=True))

    def _renewed(self, opened: OpenRound, shown: Mapping[str, Credentials | None]) -> dict[str, Credentials]:
        """Ask collaborators once more whose credentials ran out while others trained."""
        stale = [name for name, one in shown.items() if one is not None and self._guard.is_stale(one)]
        if not stale:
            return {}
        question = {STAGE: "submit", **opened.sealed.terms.to_dict()}
        answers = self._desk.ask(stale, question, self._settings.query_seconds)
        renewed = {name: _credentials(answer) for name, answer in answers.items()}
        return {name: one for name, one in renewed.items() if one is not None}


def _trained(opened: OpenRound, ruling: Ruling, together: Mapping[str, Tensor] | None) -> Mapping[str, Tensor]:
    if together is not None:
        return together
    own = ruling.update or {}
    return {name: tensor + own[name] if name in own else tensor for name, tensor in opened.sent.items()}


def _cause(taking: Taking, name: str) -> str:
    # It may have said in another task that nothing will come.
    said = [
        word for result in taking.results.get(name, {}).values() for word in (DECLINED, FAILED) if word in result.ours
    ]
    return said[0] if said else "absent"


def _credentials(ours: Answer) -> Credentials | None:
    try:
        return Credentials.from_dict(ours)
    except ValueError:
        return None
