"""An island of several ranks: its first one speaks for it, the others follow."""

from collections.abc import Iterator

import torch
from torch.distributed import ProcessGroup, broadcast, get_process_group_ranks

from adapters.distributed.island import Island, Outer


def shared_rounds(island: Island | None, group: ProcessGroup) -> Iterator[Outer | None]:
    """Yield each round on all ranks of an island: `Outer` on the one that speaks for it, none on the others.

    Args:
        island: on the group's first rank; none on the others.
        group: of the island's ranks. A rank that hangs holds up its own island, up to the group's timeout, and no
            other.
    """
    first = get_process_group_ranks(group)[0]
    going = torch.zeros(1, dtype=torch.uint8)
    rounds = iter(()) if island is None else island.rounds()
    while True:
        outer = next(rounds, None)
        going[0] = outer is not None
        broadcast(going, src=first, group=group)
        if not going.item():
            return
        yield outer
