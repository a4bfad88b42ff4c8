"""The node's side. All that the guard adds to an ordinary Flower app is `member_of` and the mod."""

import os
from pathlib import Path

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from adapters.flower import guard_mod
from adapters.member import Member
from examples.flower_app import task


def build(members: Path) -> ClientApp:
    """Return the app.

    Args:
        members: folder with one enrolled device each in ``member-<partition-id>``. On a real node it is one device:
            let `member_of` open its folder.
    """

    def member_of(context: Context) -> Member:
        return Member.open(members / f"member-{context.node_config['partition-id']}")

    app = ClientApp(mods=[guard_mod(member_of)])

    @app.train()  # type: ignore[untyped-decorator]
    def train(message: Message, context: Context) -> Message:
        model = task.new_model()
        model.load_state_dict(message.content["arrays"].to_torch_state_dict())
        points, labels = task.shard(int(context.node_config["partition-id"]))
        metrics = {"loss": task.train(model, points, labels), "num-examples": len(labels)}
        content = {"arrays": ArrayRecord(model.state_dict()), "metrics": MetricRecord(metrics)}
        return Message(RecordDict(content), reply_to=message)

    @app.evaluate()  # type: ignore[untyped-decorator]
    def evaluate(message: Message, context: Context) -> Message:
        model = task.new_model()
        model.load_state_dict(message.content["arrays"].to_torch_state_dict())
        points, labels = task.shard(int(context.node_config["partition-id"]))
        metrics = {"accuracy": task.accuracy(model, points, labels), "num-examples": len(labels)}
        return Message(RecordDict({"metrics": MetricRecord(metrics)}), reply_to=message)

    return app


app = build(Path(os.environ.get("ZTFM_MEMBERS", "members")))
