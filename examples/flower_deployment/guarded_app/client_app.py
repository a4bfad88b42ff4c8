"""The node's side. All that the guard adds to an ordinary Flower app is `member_of` and the mod."""

from pathlib import Path

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from adapters.flower import guard_mod
from adapters.member import Member
from guarded_app import task


def member_of(context: Context) -> Member:
    """Return the device that this node is: ``flower-supernode --node-config 'device="keys/device-7" seed=7'``."""
    return Member.open(Path(str(context.node_config["device"])))


app = ClientApp(mods=[guard_mod(member_of)])


@app.train()
def train(message: Message, context: Context) -> Message:
    """Train on what this device has."""
    (received,) = message.content["arrays"].to_numpy_ndarrays()
    inputs, sums = task.shard(int(context.node_config["seed"]))
    trained = ArrayRecord([task.train(received, inputs, sums)])
    metrics = MetricRecord({"num-examples": len(sums)})
    return Message(RecordDict({"arrays": trained, "metrics": metrics}), reply_to=message)
