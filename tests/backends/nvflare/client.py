"""The training script of the example's sites, but for site-2, which flips the sign of what it learned."""

import nvflare.client as flare
from nvflare.client import FLModel

from examples.nvflare_job import net

ATTACKER = 2


def main() -> None:
    flare.init()
    number = int(flare.get_site_name().rpartition("-")[2])
    points, labels = net.shard(number)
    model = net.Net()
    while flare.is_running():
        received = flare.receive()
        model.load_state_dict(received.params)
        net.train(model, points, labels)
        trained = model.state_dict()
        if number == ATTACKER:
            trained = {name: 2 * received.params[name] - value for name, value in trained.items()}
        flare.send(FLModel(params=trained, metrics={"accuracy": 1.0}, meta={"NUM_STEPS_CURRENT_ROUND": len(labels)}))


if __name__ == "__main__":
    main()
