"""Run a federated job over HTTP: ``python -m adapters.http --keys FOLDER --state FOLDER ...``."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager

from adapters.http.job import Federation
from adapters.http.opening import federation
from adapters.jobs.bounds import Bounds
from adapters.jobs.commanding import bounds_of, job_options, job_parser, read_address, run, saying

_say = saying("adapters.http")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a job, and return the exit status: 0 when it is done, 1 when it cannot go on, 130 when it was stopped."""
    given = _parser().parse_args(arguments)

    def opened() -> AbstractContextManager[Federation]:
        return federation(
            given.keys,
            given.state,
            given.weights,
            host=given.listen[0],
            port=given.listen[1],
            public_url=given.public_url,
            bounds=Bounds(**bounds_of(given)),
            on_listening=lambda url: _say(f"listening at {url}"),
            on_progress=_say,
            **job_options(given),
        )

    return run(given, opened, _say)


def _parser() -> argparse.ArgumentParser:
    parser = job_parser(
        prog="python -m adapters.http",
        description="Run a federated job for clients that speak HTTP, in any language. Stopped with Ctrl-C, it goes on "
        "from its last finished round when it is started again.",
        epilog="Example: python -m adapters.http --keys keys/aggregator --state job --model smart-home-intents "
        "--weights initial.safetensors --rounds 3 --listen 127.0.0.1:8290",
    )
    parser.add_argument(
        "--listen",
        type=read_address,
        default=("127.0.0.1", 8290),
        metavar="HOST:PORT",
        help="port 0 for any that is free",
    )
    parser.add_argument("--public-url", help="how clients reach it, where that is another URL (a proxy with TLS)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
