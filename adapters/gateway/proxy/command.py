"""``python -m adapters.gateway proxy``: a reverse proxy before a model server."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from adapters.enrolment import load_identity, load_key
from adapters.gateway.commanding import reached_by, run, say_ready
from adapters.gateway.content import ClassifierUnusable, ContentJudge, load_classifiers
from adapters.gateway.leasing import Leasing
from adapters.gateway.proxy import options
from adapters.gateway.proxy.contents import Contents
from adapters.gateway.proxy.endpoints import by_rule
from adapters.gateway.proxy.headers import passable
from adapters.gateway.proxy.opening import HEALTH, opened
from adapters.gateway.proxy.parts import Parts
from adapters.gateway.proxy.upstream import Upstream
from adapters.gateway.reporting import reporting
from adapters.plane import ControlPlane
from adapters.signals import Signals
from adapters.web.point import EnforcementPoint
from controlplane.capabilities.channels import client_context

if TYPE_CHECKING:
    from adapters.gateway.metrics import GatewayMetrics


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted, and return the exit status: 0, or 1 with a message when it could not be done."""
    return run(options.PROG, options.parser().parse_args(arguments), _serve, ClassifierUnusable)


async def _serve(given: argparse.Namespace, ending: asyncio.Event) -> None:
    (host, port), tls = options.address_of(given), options.tls_of(given)
    names = [served.name for served in options.models_of(given)]
    with reporting(given, given.audience, names) as metrics:
        async with _parts(given, metrics) as parts, opened(parts, host=host, port=port, tls=tls) as url:
            say_ready(given, listens=url, public_url=given.public_url, audience=given.audience, models=names)
            await ending.wait()


@asynccontextmanager
async def _parts(given: argparse.Namespace, metrics: "GatewayMetrics | None") -> AsyncIterator[Parts]:
    """Give the parts that the options stand for, and close what they opened."""
    limits, own = options.limits_of(given), options.key_of(given)
    reached = reached_by(given)
    endpoints = by_rule(options.api_of(given).endpoints(options.models_of(given), limits))
    verified = None if given.upstream_authority is None else client_context(given.upstream_authority)
    upstream = Upstream(given.upstream, limits, verified)
    passed_up, passed_down = passable(given.pass_up), passable(given.pass_down)
    classifiers = load_classifiers(given.classifier or ["rules"])
    async with AsyncExitStack() as stack:
        point = EnforcementPoint.open(
            given.folder,
            audience=given.audience,
            public_url=given.public_url,
            rules=list(endpoints),
            exempt={HEALTH},
            segment=given.segment,
            certificates=given.tls_client_authority is not None,
            signals=Signals(),
            **reached,
            **({} if metrics is None else {"on_outcome": metrics.outcome}),
        )
        budgets = await stack.enter_async_context(Leasing.open(given.folder, **reached))
        plane = ControlPlane(load_identity(given.folder).url, load_key(given.folder), **reached)
        stack.push_async_callback(plane.close)
        judge = ContentJudge(plane, classifiers)
        stack.callback(judge.close)
        yield Parts(
            point,
            endpoints,
            upstream,
            budgets,
            judge,
            Contents(judge),
            limits,
            passed_up,
            passed_down,
            lambda: own,
            given.hold,
            metrics,
        )
