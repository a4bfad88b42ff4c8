"""The request path: gather the facts, ask OPA, record, count."""

from controlplane.decisions.coalescing import Coalescer
from controlplane.decisions.decider import Decider
from controlplane.decisions.engine import Answered, PolicyEngine, Unanswered

__all__ = ["Answered", "Coalescer", "Decider", "PolicyEngine", "Unanswered"]
