"""A guarded Flower strategy: the wrapped one chooses nodes and aggregates; the guard decides who takes part."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Result, Strategy
from torch import Tensor

from adapters.credentials import Credentials
from adapters.flower.admission import Admission, OpenRound, invitations
from adapters.flower.questions import DECLINED, STAGE, ask
from adapters.flower.records import (
    carried,
    claimed_examples,
    common_metrics,
    in_kind,
    only_arrays,
    read_trusted,
    read_untrusted,
    weights_of,
    write_arrays,
)
from adapters.flower.settling import settle
from adapters.guard import Gated, Guard, RoundReport, Ruling, Submission
from adapters.guard.rounds import difference
from adapters.rollback import Recipe, moved
from adapters.rollback.manifest import MOST_RATE
from controlplane.contracts.decision import Aggregation

Restore = Callable[[Strategy, ArrayRecord], None]
"""From the wrapped strategy and the arrays that the next round begins with: has the one go on from the others."""

Reference = Callable[[int, dict[str, Tensor]], Mapping[str, Tensor] | None]
"""From the round's number and weights to the update that trusted data yields, or none."""

_Yielded = Future[Mapping[str, Tensor] | None]

_GATING_SECONDS = 60.0
"""A round stays open for as long as updates are screened and reported after the last one came."""


class GuardedStrategy(Strategy):  # type: ignore[misc] # flwr is read without its types
    """Any strategy, guarded: it sees accepted updates alone. Started as every Flower strategy is.

    A node that is refused, fails or does not answer is left out. When nothing was accepted the wrapped strategy is
    not asked, and the global arrays stay. Where policy has updates brought together otherwise than by their mean, that
    is done first, and the wrapped strategy sees each accepted reply with the result: whatever averages, takes medians
    or chooses among them comes to it. What is ordered to be undone is, before the next round.

    Args:
        strategy: chooses nodes and aggregates, such as ``FedAvg``.
        guard: of this job.
        duration_seconds: how long nodes have to train; nobody waits longer for one that does not answer.
        query_timeout: seconds that nodes have to answer a question.
        reference: the update that trusted data yields; none compares each update with the others. It is asked in a
            thread of its own while nodes train, so that nobody waits for it afterwards.
        on_round: told of each round that was gated, once it was aggregated and what was ordered is undone.
        restore: has the wrapped strategy go on from other arrays after a rollback; the default knows Flower's own.
    """

    def __init__(
        self,
        strategy: Strategy,
        guard: Guard,
        *,
        duration_seconds: float = 600.0,
        query_timeout: float = 60.0,
        reference: Reference | None = None,
        on_round: Callable[[int, RoundReport], None] | None = None,
        restore: Restore = settle,
    ) -> None:
        self._strategy = strategy
        self._guard = guard
        self._admission = Admission(guard, duration_seconds + 2 * query_timeout + _GATING_SECONDS, query_timeout)
        self._duration = duration_seconds
        self._reference = reference
        self._on_round = on_round
        self._restore = restore
        self._weight_key = str(getattr(strategy, "weighted_by_key", "num-examples"))
        self._training: OpenRound | None = None
        self._yielded: _Yielded | None = None
        self._evaluating: OpenRound | None = None
        self._query_timeout = query_timeout
        self._grid: Grid | None = None

    def summary(self) -> None:
        """Log the wrapped strategy's configuration."""
        self._strategy.summary()

    def start(
        self,
        grid: Grid,
        initial_arrays: ArrayRecord,
        num_rounds: int = 3,
        timeout: float = 3600,
        train_config: ConfigRecord | None = None,
        evaluate_config: ConfigRecord | None = None,
        evaluate_fn: Callable[[int, ArrayRecord], MetricRecord | None] | None = None,
    ) -> Result:
        """Run all rounds, as `Strategy.start` does; the shorter of ``timeout`` and ``duration_seconds`` counts."""
        bound = min(timeout, self._duration)
        return super().start(grid, initial_arrays, num_rounds, bound, train_config, evaluate_config, evaluate_fn)

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Return the train messages for those of the chosen nodes whose pull holds."""
        self._grid = grid
        wanted = list(self._strategy.configure_train(server_round, arrays, config, grid))
        self._training = self._admission.open(grid, wanted, f"train-{server_round}") if wanted else None
        self._yielded = self._begin_reference(server_round, self._training) if self._training else None
        return invitations(wanted, self._training, "train") if self._training else []

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Gate the replies and let the wrapped strategy aggregate those which were accepted."""
        opened, self._training = self._training, None
        yielded, self._yielded = self._yielded, None
        if opened is None:
            return None, None
        answered = self._answered(opened, list(replies))
        gated = self._gate(opened, answered, yielded)
        accepted = [(reply, ruling) for reply, ruling in zip(answered, gated.rulings, strict=True) if ruling.accepted]
        aggregated, metrics = self._aggregate(server_round, opened, gated, accepted) if accepted else (None, None)
        aggregated = self._rolled_back(opened.sent if aggregated is None else aggregated) or aggregated
        report = self._guard.latest()
        if self._on_round is not None and report is not None:
            self._on_round(server_round, report)
        return aggregated, metrics

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Return the evaluate messages for those of the chosen nodes whose pull of the new weights holds."""
        wanted = list(self._strategy.configure_evaluate(server_round, arrays, config, grid))
        self._evaluating = self._admission.open(grid, wanted, f"evaluate-{server_round}") if wanted else None
        return invitations(wanted, self._evaluating, "evaluate") if self._evaluating else []

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """Let the wrapped strategy aggregate the metrics that all nodes have in common."""
        opened, self._evaluating = self._evaluating, None
        sound = [reply for reply in replies if opened and _is_sound(reply, opened)]
        if not sound:
            return None
        contents = [reply.content for reply in sound]
        weights = weights_of(contents, self._weight_key, self._guard.weight_ratio)
        for reply, metrics in zip(sound, common_metrics(contents, weights, self._weight_key), strict=True):
            reply.content = RecordDict({"metrics": metrics})
        return self._strategy.aggregate_evaluate(server_round, sound)

    def _aggregate(
        self, server_round: int, opened: OpenRound, gated: Gated, accepted: Sequence[tuple[Message, Ruling]]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Return what the wrapped strategy makes of accepted replies; it is archived."""
        method, received = opened.sealed.aggregation, read_trusted(opened.sent)
        step = None if method == "mean" else gated.aggregate(method)
        together = None if step is None else moved(received, step)
        _prepare(accepted, opened.sent, self._weight_key, together)
        aggregated, metrics = self._strategy.aggregate_train(server_round, [reply for reply, _ in accepted])
        if aggregated is None:
            return None, metrics
        aggregated = in_kind(aggregated, opened.sent)
        self._guard.record(opened.sealed, gated, received, read_trusted(aggregated), self._recipes(method))
        return aggregated, metrics

    def _recipes(self, method: Aggregation) -> list[Recipe]:
        """Return how Flower's strategies come to their result, for those that do so without remembering anything."""
        rate = getattr(self._strategy, "server_learning_rate", 1.0)
        rates = dict.fromkeys([1.0, rate] if isinstance(rate, float) and 0.0 < rate <= MOST_RATE else [1.0])
        recipes = [Recipe(method=method, arithmetic="models", server_rate=one) for one in rates]
        # Of replies that are all alike, some strategies take one as it is.
        return recipes if method == "mean" else [*recipes, Recipe(method=method)]

    def _rolled_back(self, arrays: ArrayRecord) -> ArrayRecord | None:
        """Return the arrays without what was ordered to be left out, or none when they stay as they are."""
        state = self._guard.rollback(read_trusted(arrays))
        if state is None:
            return None
        rebuilt = write_arrays(arrays, state)
        self._restore(self._strategy, rebuilt)
        return rebuilt

    def _answered(self, opened: OpenRound, replies: Sequence[Message]) -> list[Message]:
        """Return the replies that are submissions, one a node; whoever sent none is left out."""
        found: dict[int, Message] = {}
        for reply in replies:
            found.setdefault(reply.metadata.src_node_id, reply)
        answered = []
        for node, subject in opened.subjects.items():
            reply = found.get(node)
            cause = _missing(reply)
            if reply is None or cause:
                self._guard.drop("gate", cause, subject=subject, round_id=opened.sealed.terms.round_id)
            else:
                answered.append(reply)
        return answered

    def _credentials(self, opened: OpenRound, answered: Sequence[Message]) -> list[Credentials | None]:
        """Return what came with each reply; nodes whose credentials ran out while others trained are asked again."""
        shown = [_credentials(reply) for reply in answered]
        nodes = [reply.metadata.src_node_id for reply in answered]
        stale = [node for node, one in zip(nodes, shown, strict=True) if one is not None and self._guard.is_stale(one)]
        if not stale or self._grid is None:
            return shown
        question = {STAGE: "submit", **opened.sealed.terms.to_dict()}
        answers = ask(self._grid, stale, opened.message_type, question, self._query_timeout)
        renewed = {node: _credentials(answer) for node, answer in answers.items() if answer.has_content()}
        return [renewed.get(node) or one for node, one in zip(nodes, shown, strict=True)]

    def _begin_reference(self, server_round: int, opened: OpenRound) -> _Yielded | None:
        """Begin to train on trusted data, beside the nodes; none where there is no such data, or nobody to judge."""
        reference = self._reference
        if reference is None or not opened.subjects:
            return None
        pool = ThreadPoolExecutor(1, "reference")
        begun = pool.submit(reference, server_round, read_trusted(opened.sent))
        pool.shutdown(wait=False)
        return begun

    def _gate(self, opened: OpenRound, answered: Sequence[Message], yielded: _Yielded | None) -> Gated:
        received = read_trusted(opened.sent)
        weights = {name: tensor for name, tensor in received.items() if name in opened.sealed.manifest.tensors}
        credentials = self._credentials(opened, answered)
        submissions = [
            Submission(
                subject=opened.subjects[reply.metadata.src_node_id],
                update=difference(read_untrusted(only_arrays(reply.content), opened.sent), weights, is_ours=True),
                examples=claimed_examples(reply.content, self._weight_key),
                credentials=shown,
            )
            for reply, shown in zip(answered, credentials, strict=True)
        ]
        reference = yielded.result() if yielded and submissions else None
        return self._guard.gate(opened.sealed, submissions, reference=reference)


def _missing(reply: Message | None) -> str:
    if reply is None:
        return "absent"
    if not reply.has_content():
        return "failed"
    return "declined" if DECLINED in carried(reply.content) and not reply.content.array_records else ""


def _credentials(reply: Message) -> Credentials | None:
    try:
        return Credentials.from_dict(carried(reply.content))
    except ValueError:
        return None


def _is_sound(reply: Message, opened: OpenRound) -> bool:
    return reply.has_content() and reply.metadata.src_node_id in opened.subjects and bool(reply.content.metric_records)


def _prepare(
    accepted: Sequence[tuple[Message, Ruling]],
    sent: ArrayRecord,
    weight_key: str,
    together: Mapping[str, Tensor] | None,
) -> None:
    """Give each accepted reply the form that strategies rely on: the same records and names in all of them.

    ``together`` are the weights that take the place of each reply's own, where updates were brought together already.
    """
    received = read_trusted(sent)
    contents = [reply.content for reply, _ in accepted]
    metrics = common_metrics(contents, [ruling.weight for _, ruling in accepted], weight_key)
    for (reply, ruling), own in zip(accepted, metrics, strict=True):
        update = ruling.update or {}
        trained = {
            name: received[name] + tensor if together is None else together[name] for name, tensor in update.items()
        }
        reply.content = RecordDict({"arrays": write_arrays(sent, trained), "metrics": own})
