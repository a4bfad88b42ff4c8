"""What DDP and FSDP need within an island: gradients that stay in it, and a state that is whole."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed import (  # type: ignore[attr-defined] # all of it is public
    GradBucket,
    ProcessGroup,
    all_reduce,
    get_world_size,
)
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, set_model_state_dict


def held_back(island: ProcessGroup | None, bucket: GradBucket) -> torch.futures.Future[Tensor]:
    """A communication hook for DDP: gradients are averaged within the island, and none leaves it.

    ``model.register_comm_hook(island, held_back)``, where DDP's own group reaches beyond the island. A rank's hook is
    that rank's own: it keeps an honest one from giving away what nobody judged, and binds nobody else.

    Args:
        island: the group of its ranks; none for an island of one.
        bucket: of gradients.
    """
    gradients = bucket.buffer()
    if island is None:
        done: torch.futures.Future[Tensor] = torch.futures.Future()
        done.set_result(gradients)
        return done
    gradients.div_(get_world_size(island))
    future = all_reduce(gradients, group=island, async_op=True).get_future()
    return future.then(lambda reduced: reduced.value()[0])  # type: ignore[no-any-return]


def full_state(model: nn.Module) -> dict[str, Tensor]:
    """Return a model's whole state on the CPU, whatever it is sharded by; on all ranks but an island's first, nothing.

    All ranks of the island call it (`torch.distributed.checkpoint`).
    """
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    found: Mapping[str, Any] = get_model_state_dict(model, options=options)
    return {name: value for name, value in found.items() if isinstance(value, Tensor)}


def load_full_state(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a whole state into a model that may be sharded. All ranks of the island call it, with a state or without.

    Args:
        model: of this rank.
        state: the whole one, on the island's first rank; what it lacks stays as it is. Elsewhere it is not looked at.
    """
    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True, strict=False)
    set_model_state_dict(model, dict(state), options=options)
