"""The command that enrols a fleet: its options, its ends, what it prints."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from adapters.calls import CallOptions
from adapters.fleet.errors import FleetError, printable
from adapters.fleet.pace import PATIENCE_SECONDS
from adapters.fleet.progress import Progress
from adapters.fleet.running import AT_ONCE, Outcome, Wanted, enrol_fleet
from controlplane.capabilities.channels import client_context

INVALID = 2
STOPPED = 130
_MOST_AT_ONCE = 256


def main(arguments: Sequence[str] | None = None, prog: str = "python -m adapters.fleet") -> int:
    """Enrol a fleet, and return the exit status.

    Args:
        arguments: of the command; none for those of this process.
        prog: what the command is called.

    Returns:
        0 when every device is enrolled, 1 when some are not, 2 when the file or what is given cannot be used and
        nothing was asked, 130 when it was stopped.
    """
    given = _parser(prog).parse_args(arguments)
    try:
        outcome = enrol_fleet(
            _wanted(given),
            check_only=given.check,
            shown=lambda total, before: Progress(None if given.json else sys.stderr, total, before),
            listening=_listen,
        )
    except (FleetError, OSError, ValueError) as error:
        return _failed(str(error), given)
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("adapters.fleet: stopped at once; the same command goes on from here", file=sys.stderr)
        return STOPPED
    _tell(outcome, given)
    if outcome.ended == "invalid":
        return INVALID
    if outcome.ended == "stopped":
        return STOPPED
    return 0 if outcome.ended == "checked" or outcome.is_complete else 1


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Enrol the devices of a file, each with a key and a folder of its own. Stopped or killed, the same "
        "command goes on from there; nothing is enrolled twice.",
        epilog=f"Example: {prog} fleet.csv --out station --admin keys/administrator",
    )
    parser.add_argument("file", type=Path, help="FLEET.csv or .jsonl: name, roles, segment (docs/fleet-enrolment.md)")
    parser.add_argument("--out", type=Path, required=True, help="folder of keys, journal and errors; made, private")
    parser.add_argument("--admin", type=Path, help="folder of an enrolled administrator, who issues tokens on the way")
    parser.add_argument("--url", help="the control plane's public URL (the administrator's)")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help=f"devices enrolled at a time ({AT_ONCE})")
    parser.add_argument("--hours", type=float, default=1.0, help="that a token holds which is issued on the way (1)")
    parser.add_argument(
        "--patience",
        type=float,
        default=PATIENCE_SECONDS,
        metavar="SECONDS",
        help=f"that the control plane may be away before the run ends ({PATIENCE_SECONDS:g})",
    )
    parser.add_argument("--authority", type=Path, metavar="PEM", help="that the control plane's certificate leads to")
    parser.add_argument("--socket", type=Path, help="Unix socket of the control plane")
    parser.add_argument("--check", action="store_true", help="look through the file, and enrol nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end, and no progress")
    return parser


def _wanted(given: argparse.Namespace) -> Wanted:
    if not 1 <= given.at_once <= _MOST_AT_ONCE:
        raise FleetError(f"--at-once is 1 to {_MOST_AT_ONCE}, not {given.at_once}")
    if not 0 < given.hours <= 2160:
        raise FleetError(f"--hours is more than 0 and at most 2160, not {given.hours:g}")
    options = CallOptions()
    if given.socket is not None:
        options["socket"] = given.socket
    if given.authority is not None:
        options["tls"] = client_context(given.authority)
    return Wanted(given.file, given.out, given.admin, given.url, given.at_once, given.hours, given.patience, options)


def _listen(stop: Callable[[], None]) -> None:
    """Have the first signal finish what is under way, and the second end it at once."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def _signalled() -> None:
        print("\nadapters.fleet: finishing what is under way; once more ends at once", file=sys.stderr, flush=True)
        stop()
        for one in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(one)
            if task is not None:
                loop.add_signal_handler(one, task.cancel)

    for one in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(one, _signalled)


def _tell(outcome: Outcome, given: argparse.Namespace) -> None:
    errors = given.out / "errors.csv" if outcome.failed else None
    if given.json:
        print(json.dumps(_document(outcome, errors, given.out)))
        return
    for fault in outcome.faults:
        print(fault, file=sys.stderr)
    if errors is not None and outcome.failed > len(outcome.faults):
        print(f"and {outcome.failed - len(outcome.faults):,} more", file=sys.stderr)
    print(_said(outcome, errors, given))


def _said(outcome: Outcome, errors: Path | None, given: argparse.Namespace) -> str:
    if outcome.ended == "invalid":
        return f"nothing was enrolled: {given.file} has {outcome.failed:,} faults, all in {errors}"
    if outcome.ended == "checked":
        return f"{given.file} states {outcome.devices:,} devices, {outcome.before:,} of them enrolled, and is sound"
    done = outcome.before + outcome.enrolled
    said = f"{done:,} of {outcome.devices:,} devices are enrolled, {outcome.enrolled:,} of them now: {given.out}"
    if outcome.failed:
        said += f"; {outcome.failed:,} failed, all in {errors}"
    if outcome.ended == "given_up":
        said += f"\ngiven up: {printable(outcome.why)}"
    if outcome.left or outcome.failed:
        said += "\nthe same command goes on from here"
    return said


def _document(outcome: Outcome, errors: Path | None, out: Path) -> dict[str, Any]:
    counted = asdict(outcome)
    rate = outcome.enrolled / outcome.seconds if outcome.seconds else 0.0
    return {
        "ok": outcome.is_complete or outcome.ended == "checked",
        **{name: value for name, value in counted.items() if name != "faults"},
        "left": outcome.left if outcome.ended not in {"invalid", "checked"} else 0,
        "rate": round(rate, 1),
        "out": str(out),
        "journal": str(out / "journal.ndjson"),
        "errors_file": None if errors is None else str(errors),
        "errors": counted["faults"],
    }


def _failed(why: str, given: argparse.Namespace) -> int:
    if given.json:
        print(json.dumps({"ok": False, "ended": "unusable", "why": why}))
    print(f"adapters.fleet: {printable(why)}", file=sys.stderr)
    return INVALID
