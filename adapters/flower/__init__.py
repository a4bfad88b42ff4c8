"""The seam around any Flower strategy (Message API): a wrapper on the server, a mod on each node."""

from adapters.flower.mod import guard_mod
from adapters.flower.strategy import GuardedStrategy

__all__ = ["GuardedStrategy", "guard_mod"]
