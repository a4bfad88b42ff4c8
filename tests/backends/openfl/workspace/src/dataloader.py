"""A collaborator's own points; the data path is the number of its shard."""

from typing import Any

from openfl.federated import PyTorchDataLoader

from examples.nvflare_job import net


class Shard(PyTorchDataLoader):
    def __init__(self, data_path: str, batch_size: int, **settings: Any) -> None:
        super().__init__(batch_size, random_seed=0, **settings)
        self.number = int(data_path)
        points, labels = net.shard(self.number)
        self.X_train = self.X_valid = points.numpy()
        self.y_train = self.y_valid = labels.numpy()

    def get_feature_shape(self) -> tuple[int, ...]:
        return tuple(self.X_train[0].shape)
