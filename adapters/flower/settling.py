"""After a rollback: what a Flower strategy remembers of earlier rounds must not bring back what was left out.

What the strategies of Flower 1.41 keep between rounds: `FedAvgM` takes the arrays of the first round as its own and
moves them itself ever after, and keeps a momentum; `FedAdam`, `FedYogi` and `FedAdagrad` keep two moments, and take the
arrays anew in each round; wrappers for differential privacy keep the strategy that they wrap.
"""

from flwr.app import ArrayRecord
from flwr.serverapp.strategy import Strategy

_MOMENTS = ("momentum_vector", "m_t", "v_t")
_DEEPEST = 8


def settle(strategy: Strategy, arrays: ArrayRecord) -> None:
    """Have a strategy, and those that it wraps, go on from rebuilt arrays: moments begin anew.

    Args:
        strategy: of Flower, or one that keeps its state under the same names.
        arrays: that the next round begins with.
    """
    for _ in range(_DEEPEST):
        if isinstance(getattr(strategy, "current_arrays", None), ArrayRecord):
            strategy.current_arrays = arrays.copy()
        for name in _MOMENTS:
            if getattr(strategy, name, None) is not None:
                setattr(strategy, name, None)
        inner = getattr(strategy, "strategy", None)
        if not isinstance(inner, Strategy):
            return
        strategy = inner
