"""What was trained before: federations that have not parted yet, or have come together again, share it."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence

from torch import Tensor

from evaluation.smart_home.training import Update

MOST_UPDATES = 4096

Trained = tuple[str, int, int, int]


class Memory:
    """Updates by what they were trained from, those that were used last; for one task and one plan.

    Args:
        most: how many are kept.
    """

    def __init__(self, most: int = MOST_UPDATES) -> None:
        self._most = most
        self._known: OrderedDict[Trained, Update] = OrderedDict()

    def recall(
        self,
        state: Mapping[str, Tensor],
        shard: Sequence[Hashable],
        who: int,
        turn: int,
        train: Callable[[], Update],
    ) -> Update:
        """The update that ``who`` trains from ``state`` on ``shard`` in round ``turn``; ``train`` yields a new one.

        Nobody may change what is returned.
        """
        key = (_digest(state), who, turn, hash(tuple(shard)))
        found = self._known.pop(key, None) or train()
        self._known[key] = found
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return found


def _digest(state: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(state[name].contiguous().numpy().tobytes())
    return digest.hexdigest()
