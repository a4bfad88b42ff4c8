"""What commands that run a job have in common: their options, their ends, what they print."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from adapters.errors import ControlPlaneError
from adapters.guard import RoundReport
from adapters.guard.rounds import Weights
from adapters.jobs.keeping import JobError
from adapters.jobs.running import Ended, FederatedJob
from adapters.rollback import ArchiveError
from controlplane.capabilities.errors import KeyFileError
from controlplane.contracts.base import is_identifier

STOPPED = 130
"""The exit status of a job that was stopped before its last round."""


def job_parser(**described: Any) -> argparse.ArgumentParser:
    """Return a parser with the options of every job.

    Args:
        described: of `argparse.ArgumentParser`.
    """
    parser = argparse.ArgumentParser(**described)
    parser.add_argument("--keys", type=Path, required=True, help="folder of the enrolled aggregator (adapters.enrol)")
    parser.add_argument("--state", type=Path, required=True, help="folder of this job; made, for its owner alone")
    parser.add_argument("--model", required=True, help="the model's identifier in policies/data")
    parser.add_argument("--weights", type=Path, required=True, help="safetensors file that the first round begins with")
    parser.add_argument("--rounds", type=int, default=3, help="rounds in all, those of earlier runs among them (3)")
    parser.add_argument("--audience", default="aggregator-1", help="this aggregator's name in capabilities")
    parser.add_argument("--members", type=Path, help="file of those who are invited, one a line; else who announces")
    parser.add_argument("--least", type=int, default=4, help="announcements that a round waits for (4)")
    parser.add_argument("--most", type=int, default=1000, help="members that a round takes (1000)")
    parser.add_argument("--gather", type=float, default=10.0, help="seconds to wait for more than the least (10)")
    parser.add_argument("--seconds", type=float, default=600.0, help="how long a round is open (600)")
    parser.add_argument("--rate", type=float, default=1.0, help="share of the step that the model moves (1.0)")
    parser.add_argument("--archive", type=Path, help="folder that keeps updates, so that they can be undone")
    parser.add_argument("--segment", help="segment from which devices are taken; else any")
    parser.add_argument("--shard", action="append", help="part of the model that is trained; repeatable; else all")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    return parser


def job_options(given: argparse.Namespace) -> dict[str, Any]:
    """Return what the options of `job_parser` say, but for the bounds, as arguments that open a job.

    Raises:
        JobError: the file of members names none.
        OSError: it cannot be read.
    """
    return {
        "audience": given.audience,
        "model": given.model,
        "members": None if given.members is None else read_members(given.members),
        "archive": given.archive,
        "segment": given.segment,
        "shards": given.shard,
        "rounds": given.rounds,
        "server_rate": given.rate,
    }


def bounds_of(given: argparse.Namespace) -> dict[str, Any]:
    """Return what the options of `job_parser` say of a job's bounds."""
    return {
        "least_members": given.least,
        "most_members": given.most,
        "gather_seconds": given.gather,
        "round_seconds": given.seconds,
    }


def run(
    given: argparse.Namespace,
    opened: Callable[[], AbstractContextManager[FederatedJob]],
    say: Callable[[str], None],
) -> int:
    """Run a job, and return the exit status: 0 when it is done, 1 when it cannot go on, 130 when it was stopped.

    Args:
        given: options of `job_parser`.
        opened: returns the job as a context manager.
        say: told in a line what happens.
    """
    try:
        with opened() as job:
            ended = asyncio.run(_until_signal(job))
    except (ControlPlaneError, KeyFileError, ArchiveError, JobError, ValueError, OSError) as error:
        say(f"error: {error}")
        return 1
    kept = given.state / f"weights-{ended.finished}.safetensors"
    if given.json:
        print(json.dumps(_document(ended, kept)))
    elif ended.is_finished:
        print(f"{ended.finished} rounds are done: {kept}")
    else:
        print(f"stopped after round {ended.finished} of {given.rounds}; the same command goes on from there")
    return 0 if ended.is_finished else STOPPED


def read_address(text: str) -> tuple[str, int]:
    """Return a host and a port of ``HOST:PORT``.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def read_members(path: Path) -> list[str]:
    """Return the names of a file, one a line.

    Raises:
        JobError: there are none, or one is no name.
        OSError: it cannot be read.
    """
    found = path.read_text().split()
    wrong = [one for one in found if not is_identifier(one)]
    if not found or wrong:
        raise JobError(f"{path} has to name one device a line, such as dev-...; {len(wrong)} lines are no names")
    return found


def saying(name: str) -> Callable[[str], None]:
    """Return what tells people in a line on standard error what happens."""

    def say(line: str) -> None:
        print(f"{name}: {line}", file=sys.stderr, flush=True)

    return say


async def _until_signal(job: FederatedJob) -> Ended:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, job.stop)
    return await job.run()


def _document(ended: Ended, kept: Path) -> dict[str, Any]:
    return {
        "finished": ended.is_finished,
        "rounds_finished": ended.finished,
        "weights": str(kept),
        "model_digest": Weights.of(ended.state).digest,
        "rounds": [_round(report) for report in ended.rounds],
    }


def _round(report: RoundReport) -> dict[str, Any]:
    return {
        "round_id": report.round_id,
        "members": report.members,
        "pulled": report.pulled,
        "submitted": report.submitted,
        "accepted": report.accepted,
        "clipped": report.clipped,
        "quarantined": list(report.quarantined),
        "left_out": {f"{point}: {cause}": count for (point, cause), count in report.dropped.items()},
        "aggregation": report.aggregation,
    }
