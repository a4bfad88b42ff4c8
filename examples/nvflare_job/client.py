"""The training script of a site. The guard asks nothing of it."""

import nvflare.client as flare
from nvflare.client import FLModel

from examples.nvflare_job import net


def main() -> None:
    """Train on each model that comes."""
    flare.init()
    points, labels = net.shard(int(flare.get_site_name().rpartition("-")[2]))
    model = net.Net()
    while flare.is_running():
        received = flare.receive()
        model.load_state_dict(received.params)
        accuracy = net.accuracy(model, points, labels)
        net.train(model, points, labels)
        meta = {"NUM_STEPS_CURRENT_ROUND": len(labels)}
        flare.send(FLModel(params=model.state_dict(), metrics={"accuracy": accuracy}, meta=meta))


if __name__ == "__main__":
    main()
