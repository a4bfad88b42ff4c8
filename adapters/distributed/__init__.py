"""PyTorch Distributed: islands of ranks that train by themselves, and a coordinator that gates what they learnt.

Within an island DDP or FSDP exchange gradients as always; an island is one member. Between islands nothing is exchanged
but the difference that many inner steps made, once a round: an outer step as of local SGD (Stich, arXiv 1805.09767) and
DiLoCo (Douillard et al., arXiv 2311.08105). Each such difference needs a capability, is verified, screened and ruled
on; a capability for each gradient would be absurd.

A plain all-reduce cannot be guarded: its ranks see sums, each has what the others sent before anybody judged it, and a
hook in a rank is that rank's own. So the coordinator gathers, screens, and hands out the next weights; what an island
sent reaches no other one before that.
"""

from adapters.distributed.coordinator import Coordinator
from adapters.distributed.hooks import full_state, held_back, load_full_state
from adapters.distributed.island import Island, Outer
from adapters.distributed.mailbox import Mailbox, Mailboxes
from adapters.distributed.together import shared_rounds

__all__ = [
    "Coordinator",
    "Island",
    "Mailbox",
    "Mailboxes",
    "Outer",
    "full_state",
    "held_back",
    "load_full_state",
    "shared_rounds",
]
