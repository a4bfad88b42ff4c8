"""What ``python -m adapters.segments`` does: run the agent, or plan, apply and verify one table."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from adapters.errors import ControlPlaneError
from adapters.segments import once
from adapters.segments.errors import SegmentsError
from adapters.segments.libnftables import find_nftables
from adapters.segments.plane import control_plane
from adapters.segments.running import run
from adapters.segments.tables import read_table
from controlplane.capabilities.errors import KeyFileError
from controlplane.contracts.segmentation import GrantTable
from controlplane.segmentation.flows import TooManyFlows
from controlplane.segmentation.reachability import NotUnderstood
from controlplane.segmentation.rulesets import NotAsCompiled

STATE = Path("/var/lib/ztfm-segments")
_FAULTS = (
    ControlPlaneError,
    SegmentsError,
    NotAsCompiled,
    NotUnderstood,
    TooManyFlows,
    KeyFileError,
    ValueError,
    OSError,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what is asked, and return the exit status: 0, or 1 where it could not be done or something differs."""
    given = _parser().parse_args(arguments)
    logging.basicConfig(format="adapters.segments: %(message)s", stream=sys.stderr)
    try:
        return _done(given)
    except _FAULTS as error:
        print(f"adapters.segments: {error}", file=sys.stderr)
        return 1


def _done(given: argparse.Namespace) -> int:
    if given.what == "run":
        options = {"authority": given.control_plane_authority, "metrics": given.metrics, "as_json": given.json}
        return asyncio.run(run(given.folder, given.state, given.socket, given.silence, **options))
    if given.what == "close":
        return once.close(find_nftables(), as_file=given.file, as_json=given.json)
    if given.what == "reach":
        asked = (given.source, given.destination, given.protocol, given.port)
        return once.reaches(find_nftables(), asked, as_json=given.json)
    table = _table(given)
    if given.what == "plan":
        return once.plan(find_nftables(), table, as_json=given.json)
    if given.what == "apply":
        return once.apply(find_nftables(), table, as_json=given.json)
    return once.verify(find_nftables(), table, as_json=given.json)


def _table(given: argparse.Namespace) -> GrantTable:
    if given.table is not None:
        return read_table(given.table)
    return asyncio.run(_fetched(given.folder, given.socket, given.control_plane_authority))


async def _fetched(folder: Path, socket: Path | None, authority: Path | None) -> GrantTable:
    async with control_plane(folder, socket, authority)[1] as plane:
        table = await plane.segment_table()
    if table is None:
        raise ValueError("the control plane gave no table although none was known: compare the versions of both sides")
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m adapters.segments",
        description="Let through what the table of grants names, and drop everything else that this router forwards. "
        "Needs CAP_NET_ADMIN, and libnftables or nft.",
        epilog="Example: python -m adapters.segments run keys/router --state /var/lib/ztfm-segments",
    )
    parts = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    running = _part(
        parts, "run", "follow the table and what is revoked, until stopped; the rules stay", "run keys/router"
    )
    running.add_argument(
        "folder", type=Path, metavar="FOLDER", help="of the enrolled router, as adapters.enrol made it"
    )
    running.add_argument("--state", type=Path, default=STATE, help=f"where the last table is kept ({STATE})")
    _add_plane(running)
    running.add_argument(
        "--metrics", type=_listening, metavar="HOST:PORT", help="serve metrics to Prometheus there (extra: metrics)"
    )
    running.add_argument(
        "--silence",
        type=_seconds,
        metavar="SECONDS",
        help="without word of what is revoked for so long nothing passes at all (never: grants run to their ends)",
    )
    for name, does, example in (
        ("plan", "show what a table would change in the kernel", "plan keys/router"),
        ("apply", "put a table in force once", "apply --table table.json"),
        ("verify", "compare the kernel with a table; status 1 where they differ", "verify keys/router --json"),
    ):
        part = _part(parts, name, does, example)
        source = part.add_mutually_exclusive_group(required=True)
        source.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help="of the router, to ask as")
        source.add_argument("--table", type=Path, help="file with the table, as GET /v1/segments/table gives it")
        _add_plane(part)
    closing = _part(parts, "close", "let nothing pass", "close")
    closing.add_argument("--file", action="store_true", help="print the file for nft that does so, and do nothing")
    asking = _part(
        parts, "reach", "say whether the kernel's rules let a connection pass", "reach 10.0.1.7 10.0.9.2 443"
    )
    asking.add_argument("source", help="address that opens it")
    asking.add_argument("destination", help="address that it is opened to")
    asking.add_argument("port", type=_port, help="that it is opened to")
    asking.add_argument("--protocol", choices=("tcp", "udp"), default="tcp", help="of the port (tcp)")
    return parser


def _part(
    parts: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, does: str, example: str
) -> argparse.ArgumentParser:
    part = parts.add_parser(
        name,
        help=does,
        description=f"{does[0].upper()}{does[1:]}.",
        epilog=f"Example: python -m adapters.segments {example}",
    )
    part.add_argument("--json", action="store_true", help="print JSON")
    return part


def _add_plane(part: argparse.ArgumentParser) -> None:
    part.add_argument("--socket", type=Path, help="Unix socket of the control plane")
    part.add_argument("--control-plane-authority", type=Path, metavar="PEM", help="verifies the control plane")


def _listening(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal()) or int(port) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no address such as 127.0.0.1:9466")
    return host.strip("[]"), int(port)


def _seconds(text: str) -> float:
    number = float(text)
    if not 1.0 <= number <= 86_400.0:
        raise argparse.ArgumentTypeError("it is 1 to 86400 seconds")
    return number


def _port(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 65_535:
        raise argparse.ArgumentTypeError("it is 1 to 65535")
    return number
