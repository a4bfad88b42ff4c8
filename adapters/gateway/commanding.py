"""What the gateway's commands have in common: run until interrupted, say when ready, and open an authorizer."""

import argparse
import asyncio
import json
import logging
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypedDict, get_args

from adapters.errors import ControlPlaneError
from adapters.gateway.authorizing import Authorizer, Kept
from adapters.gateway.leasing import Leasing
from adapters.gateway.reporting import add_options, reporting
from adapters.gateway.rulefile import read_rules
from adapters.web.point import EnforcementPoint
from controlplane.capabilities.channels import client_context
from controlplane.capabilities.errors import KeyFileError

Serve = Callable[[argparse.Namespace, asyncio.Event], Awaitable[None]]
"""Serves by its options until the event is set."""


class Reached(TypedDict):
    """How the control plane is reached, as `adapters.calls.CallOptions` has it."""

    tls: ssl.SSLContext | None
    socket: Path | None


def run(prog: str, given: argparse.Namespace, serve: Serve, *faults: type[Exception]) -> int:
    """Serve until interrupted, and return the exit status: 0, or 1 with a message when it could not be done.

    Args:
        prog: name of the command, for the message.
        given: its options.
        serve: serves.
        faults: of this command alone that are told in a line, beside those of all.
    """
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    foreseen: tuple[type[Exception], ...] = (ControlPlaneError, KeyFileError, ValueError, OSError, *faults)
    try:
        asyncio.run(_until_ended(given, serve))
    except foreseen as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 1
    return 0


async def _until_ended(given: argparse.Namespace, serve: Serve) -> None:
    ending = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, ending.set)
    await serve(given, ending)


def say_ready(given: argparse.Namespace, **facts: str | bool | list[str]) -> None:
    """Print that a command serves, and where: a line, or one JSON object with ``--json``."""
    shown = {name: " ".join(value) if isinstance(value, list) else value for name, value in facts.items()}
    line = ", ".join(f"{name} {value}" for name, value in shown.items())
    print(json.dumps({"event": "ready", **facts}) if given.json else line, flush=True)


def reached_by(given: argparse.Namespace) -> Reached:
    """Return how the control plane is reached by the options.

    Raises:
        OSError: the authority's file cannot be used.
    """
    authority = given.control_plane_authority
    return {"tls": None if authority is None else client_context(authority), "socket": given.control_plane_socket}


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Give a command the options that say how the control plane is reached, and where measurements go."""
    parser.add_argument("--control-plane-authority", type=Path, metavar="PEM", help="verifies the control plane")
    parser.add_argument("--control-plane-socket", type=Path, metavar="PATH", help="Unix socket of the control plane")
    add_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object when ready")


def add_authorizer_options(parser: argparse.ArgumentParser, proxy: str) -> None:
    """Give a command the options of an authorizer.

    Args:
        parser: of the command.
        proxy: what asks it, for the help.
    """
    parser.add_argument("folder", type=Path, help="of an enrolled gateway")
    parser.add_argument("--audience", required=True, help="the name of this endpoint in capabilities")
    parser.add_argument(
        "--public-url", required=True, metavar="URL", help=f"how callers reach {proxy}, up to its paths"
    )
    parser.add_argument("--rules", type=Path, required=True, metavar="FILE", help="which capability each path needs")
    parser.add_argument("--segment", help="from which alone requests come")
    parser.add_argument(
        "--upstream-keeps",
        action="append",
        default=[],
        choices=get_args(Kept),
        help="a limit that the upstream keeps by the header that says it; several times for more",
    )


@asynccontextmanager
async def authorizing(given: argparse.Namespace) -> AsyncIterator[tuple[Authorizer, EnforcementPoint]]:
    """Give what decides by the options, and close what it opened.

    Raises:
        ValueError: an option, or the rules' file, is none.
        OSError: a file cannot be read, or an address not be had.
    """
    rules, reached = read_rules(given.rules), reached_by(given)
    with reporting(given, given.audience, [rule.resource for rule in rules.rules if rule.resource]) as metrics:
        point = EnforcementPoint.open(
            given.folder,
            audience=given.audience,
            public_url=given.public_url,
            rules=rules.rules,
            exempt=rules.exempt,
            segment=given.segment,
            certificates=given.certificates,
            **reached,
            **({} if metrics is None else {"on_outcome": metrics.outcome}),
        )
        try:
            async with Leasing.open(given.folder, **reached) as budgets:
                yield Authorizer(point, keeps=given.upstream_keeps, budgets=budgets), point
        finally:
            await point.close()
