"""Run a federated job over HTTP: ``python -m adapters.http --keys FOLDER --state FOLDER ...``."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from adapters.guard import summing
from adapters.http.job import Federation
from adapters.http.opening import federation
from adapters.jobs.bounds import Bounds
from adapters.jobs.commanding import bounds_of, job_options, job_parser, read_address, run, saying
from controlplane.capabilities.channels import server_context

_say = saying("adapters.http")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a job, and return the exit status: 0 when it is done, 1 when it cannot go on, 130 when it was stopped."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if (given.tls_certificate is None) != (given.tls_key is None):
        parser.error("give --tls-certificate and --tls-key together, or neither")
    tls = None if given.tls_certificate is None else server_context(given.tls_certificate, given.tls_key)

    def opened() -> AbstractContextManager[Federation]:
        return federation(
            given.keys,
            given.state,
            given.weights,
            host=given.listen[0],
            port=given.listen[1],
            public_url=given.public_url,
            tls=tls,
            bounds=Bounds(**bounds_of(given), stage_seconds=given.stage),
            sums=summing.Bounds(value=given.value),
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
    parser.add_argument(
        "--stage", type=float, default=30.0, metavar="SECONDS", help="how long a stage of a secure sum may take (30)"
    )
    parser.add_argument(
        "--value", type=float, default=1.0, help="in secure sums, a value of an update is cut to this size (1.0)"
    )
    parser.add_argument(
        "--tls-certificate", type=Path, metavar="PEM", help="serve TLS 1.3 alone, with this certificate"
    )
    parser.add_argument("--tls-key", type=Path, metavar="PEM", help="its key")
    parser.add_argument("--public-url", help="how clients reach it, where that is another URL (a proxy with TLS)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
