"""What runs in the ranks' own processes: islands of one rank and of several, and what can go wrong with them."""

import os
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import (  # type: ignore[attr-defined] # all of it is public
    PrefixStore,
    TCPStore,
)
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from adapters.distributed import Island, Mailbox, full_state, held_back, load_full_state, shared_rounds
from adapters.member import Member

HOST = "127.0.0.1"
_TIMEOUT = timedelta(seconds=30)
STEPS, RATE = 4, 0.1


def model() -> nn.Module:
    """Return the model that everybody trains, always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))


def batch(seed: int) -> tuple[Tensor, Tensor]:
    """Return inputs, and outputs that follow from them."""
    inputs = torch.randn(32, 4, generator=torch.Generator().manual_seed(seed))
    return inputs, torch.stack([inputs.sum(1), inputs[:, 0] - inputs[:, 1]], dim=1)


def inner_steps(trained: nn.Module, *seeds: int) -> None:
    """Train for some steps, without asking anybody."""
    optimizer = torch.optim.SGD(trained.parameters(), lr=RATE)
    batches = [batch(seed) for seed in seeds]
    inputs, outputs = (torch.cat(parts) for parts in zip(*batches, strict=True))
    for _ in range(STEPS):
        loss = nn.functional.mse_loss(trained(inputs), outputs)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def expected(state: Mapping[str, Tensor], *seeds: int) -> dict[str, Tensor]:
    """Return what `inner_steps` makes of a state in one process."""
    alone = model()
    alone.load_state_dict(dict(state))
    inner_steps(alone, *seeds)
    return {name: tensor.detach().clone() for name, tensor in alone.state_dict().items()}


def island(folder: Path, number: int, port: int, conduct: str) -> None:
    """An island of one rank, whose model DDP holds."""
    store = TCPStore(HOST, port, is_master=False, timeout=_TIMEOUT)
    dist.init_process_group("gloo", store=PrefixStore(f"own/{number}", store), rank=0, world_size=1)
    wrapped = DistributedDataParallel(model())
    wrapped.register_comm_hook(None, held_back)
    with Member.open(folder) as member:
        for outer in Island(member, Mailbox(store, number)).rounds():
            if conduct == "dies":
                os._exit(1)
            if conduct == "hangs":
                time.sleep(600.0)
            wrapped.module.load_state_dict(dict(outer.state))
            inner_steps(wrapped, number)
            trained = wrapped.module.state_dict()
            if conduct == "flips":
                trained = {name: 2.0 * outer.state[name] - tensor for name, tensor in trained.items()}
            outer.submit(trained, 32)
    dist.destroy_process_group()


def sharded_rank(folder: Path, number: int, port: int, rank: int, ranks: int) -> None:
    """One of several ranks of an island, whose model FSDP shards; all of them train on the same batch."""
    store = TCPStore(HOST, port, is_master=False, timeout=_TIMEOUT)
    own = PrefixStore(f"own/{number}", store)
    dist.init_process_group("gloo", store=own, rank=rank, world_size=ranks, timeout=_TIMEOUT)
    trained = model()
    fully_shard(trained)
    group = dist.group.WORLD
    assert group is not None
    with Member.open(folder) as member:
        speaker = Island(member, Mailbox(store, number)) if rank == 0 else None
        for outer in shared_rounds(speaker, group):
            load_full_state(trained, outer.state if outer else {})
            inner_steps(trained, number)
            state = full_state(trained)
            if outer is not None:
                outer.submit(state, 32)
    dist.destroy_process_group()


def followed(rank: int, port: int, found: str, island_ranks: int) -> None:
    """One of two ranks of a DDP, with a hook that keeps gradients in islands of so many ranks."""
    store = TCPStore(HOST, port, is_master=False, timeout=_TIMEOUT)
    dist.init_process_group("gloo", store=PrefixStore("world", store), rank=rank, world_size=2, timeout=_TIMEOUT)
    wrapped = DistributedDataParallel(model())
    wrapped.register_comm_hook(dist.group.WORLD if island_ranks == 2 else None, held_back)
    inner_steps(wrapped, rank)
    torch.save(wrapped.module.state_dict(), f"{found}/{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()
