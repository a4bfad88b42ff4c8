"""A small reverse proxy of our own before a model server: ``python -m adapters.gateway proxy --help``.

It speaks the API that OpenAI made common, the Open Inference Protocol of KServe, and plain HTTP; answers run through it
as they come. Nothing is forwarded without a capability that holds, a reservation in the budgets, and a look at what is
said. See docs/gateway-proxy.md.
"""

from adapters.gateway.proxy.endpoints import Served, by_rule
from adapters.gateway.proxy.kserve import KServe
from adapters.gateway.proxy.limits import Limits
from adapters.gateway.proxy.openai import OpenAi
from adapters.gateway.proxy.opening import HEALTH, opened
from adapters.gateway.proxy.parts import Parts
from adapters.gateway.proxy.plain import Plain
from adapters.gateway.proxy.upstream import Upstream

__all__ = ["HEALTH", "KServe", "Limits", "OpenAi", "Parts", "Plain", "Served", "Upstream", "by_rule", "opened"]
