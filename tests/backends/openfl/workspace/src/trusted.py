"""Data that the aggregator trusts: with two updates that could not be compared with each other, it is a must."""

from collections.abc import Mapping

from torch import Tensor

from examples.nvflare_job import net


class TrustedCorners:
    def reference(self, round_number: int, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        model = net.Net()
        own = {name.removeprefix("net."): value for name, value in weights.items()}
        model.load_state_dict(own)
        net.train(model, *net.shard(-1))
        return {f"net.{name}": value - own[name] for name, value in model.state_dict().items()}
