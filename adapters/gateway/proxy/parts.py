"""What a proxy is made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from adapters.gateway.interfaces import Budgets, Judge
from adapters.gateway.proxy.endpoints import Endpoint
from adapters.gateway.proxy.limits import Limits
from adapters.gateway.proxy.shaping import Shaper, Withholding
from adapters.gateway.proxy.upstream import Upstream
from adapters.web.point import EnforcementPoint
from adapters.web.rules import Rule

if TYPE_CHECKING:
    from adapters.gateway.metrics import GatewayMetrics


@dataclass(frozen=True)
class Parts:
    """Everything that a request goes through. There is none without budgets and without a judge.

    Attributes:
        point: verifies capabilities, and knows whether they still hold. Its rules are those of ``endpoints``.
        endpoints: by rule.
        upstream: the model server.
        budgets: from which every forwarding is taken.
        judge: looks at every prompt and answer.
        shaper: carries out what policy wants done with content; without one, what it wants changed does not pass.
        limits: bounds.
        passed_up: names of headers that go on to the upstream besides.
        passed_down: and that come back.
        own_headers: that the upstream is sent besides, such as the key that it wants; asked for each request.
        holds: no part of an answer is passed on before all of it has been judged.
        metrics: takes note; none measures nothing.
    """

    point: EnforcementPoint
    endpoints: Mapping[Rule, Endpoint]
    upstream: Upstream
    budgets: Budgets
    judge: Judge
    shaper: Shaper = field(default_factory=Withholding)
    limits: Limits = field(default_factory=Limits)
    passed_up: frozenset[str] = frozenset()
    passed_down: frozenset[str] = frozenset()
    own_headers: Callable[[], Mapping[str, str]] = dict
    holds: bool = False
    metrics: "GatewayMetrics | None" = None
