"""The seam around any Flower strategy (Message API): a wrapper on the server, a mod on each node.

Both are loaded when they are asked for: what runs beside a SuperNode needs neither torch nor Flower's server.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapters.flower.mod import guard_mod
    from adapters.flower.strategy import GuardedStrategy

__all__ = ["GuardedStrategy", "guard_mod"]

_HOMES = {"GuardedStrategy": "adapters.flower.strategy", "guard_mod": "adapters.flower.mod"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
