"""How well the device fares that fares worst."""

from collections import Counter
from collections.abc import Iterable, Sequence

from torch import Tensor


def worst_by_group(is_right: Tensor, owners: Sequence[int]) -> float:
    """The least share of right answers over the owners of test examples.

    Args:
        is_right: [examples] bool.
        owners: of each example.

    Raises:
        ValueError: there is no example.
    """
    return min(_shares(is_right, owners).values())


def worst_by_mix(is_right: Tensor, labels: Sequence[int], held: Iterable[Sequence[int]]) -> float:
    """The least accuracy over devices that have no test examples of their own.

    A device's is what it would have on test examples of the mix of classes that it trains on: the accuracy of each
    class, weighted by the class's share of its training examples.

    Args:
        is_right: [examples] bool.
        labels: of each test example.
        held: of each device, the labels of its training examples; at least one.

    Raises:
        KeyError: a device holds a class that is not tested.
    """
    by_class = _shares(is_right, labels)
    return min(sum(by_class[label] * count for label, count in Counter(own).items()) / len(own) for own in held)


def _shares(is_right: Tensor, groups: Sequence[int]) -> dict[int, float]:
    total, right = Counter(groups), Counter[int]()
    for group, answer in zip(groups, is_right.tolist(), strict=True):
        right[group] += answer
    return {group: right[group] / count for group, count in total.items()}
