"""What runs in Flower's client processes: one device's training, honest or hostile as its role in the task says."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.clientapp.typing import ClientAppCallable

from adapters.flower import guard_mod
from adapters.flower.records import RECORD
from adapters.member import Member
from evaluation.federation.devices import Bench
from evaluation.federation.plan import Plan
from evaluation.smart_home.task import load_task

ATTACKED, ROUND = "attacked", "server-round"


def client_app(
    seed: int, plan: Plan, cache: Path, member_of: Callable[[int], Member], encoder: Path | None = None
) -> ClientApp:
    """The app of every device of the task of ``seed``; it takes part in guarded and in unguarded federations.

    The app itself is small, for it travels with each message: the task is built in the process that needs it.

    Args:
        seed: of the task.
        plan: how devices train.
        cache: where the trunk's output is.
        member_of: opens the member that a device is.
        encoder: folder of the encoder; none for the packaged one.
    """
    guarded = guard_mod(lambda context: member_of(device_of(context)))

    def where_guarded(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
        answer: ClientAppCallable | None = None if RECORD in message.content else call_next
        return answer(message, context) if answer else guarded(message, context, call_next)

    app = ClientApp(mods=[where_guarded])

    @app.train()  # type: ignore[untyped-decorator]
    def train(message: Message, context: Context) -> Message:
        config = message.content.config_records["config"]
        state = message.content.array_records["arrays"].to_torch_state_dict()
        turn, attacked = int(str(config[ROUND])), bool(config[ATTACKED])
        update, examples = _bench(seed, plan, cache, encoder).update(state, device_of(context), turn, attacked=attacked)
        trained = ArrayRecord({name: value + update[name] for name, value in state.items()})
        metrics = MetricRecord({"num-examples": examples})
        return Message(RecordDict({"arrays": trained, "metrics": metrics}), reply_to=message)

    return app


def device_of(context: Context) -> int:
    """The device's index in the task."""
    return int(context.node_config["partition-id"])


@lru_cache(maxsize=1)
def _bench(seed: int, plan: Plan, cache: Path, encoder: Path | None) -> Bench:
    return Bench(load_task(seed, cache, encoder), plan)
