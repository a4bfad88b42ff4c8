"""Run a federated job over MQTT: ``python -m adapters.mqtt --keys FOLDER --keeper FOLDER --broker HOST:PORT ...``."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from adapters.jobs.commanding import bounds_of, job_options, job_parser, read_address, run, saying
from adapters.mqtt.bounds import MEBIBYTE, Bounds
from adapters.mqtt.connecting import Address
from adapters.mqtt.job import Federation
from adapters.mqtt.opening import federation

_say = saying("adapters.mqtt")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a job, and return the exit status: 0 when it is done, 1 when it cannot go on, 130 when it was stopped."""
    given = _parser().parse_args(arguments)

    def opened() -> AbstractContextManager[Federation]:
        return federation(
            given.keys,
            given.state,
            given.weights,
            broker=Address(*given.broker),
            keeper=given.keeper,
            server_authority=given.authority,
            bounds=Bounds(payload_bytes=given.payload_bytes, **bounds_of(given)),
            on_listening=lambda: _say(f"the topics of {given.audience} are there"),
            on_progress=_say,
            **job_options(given),
        )

    return run(given, opened, _say)


def _parser() -> argparse.ArgumentParser:
    parser = job_parser(
        prog="python -m adapters.mqtt",
        description="Run a federated job for devices behind an MQTT 5 broker, and keep its topics as policy says. "
        "Stopped with Ctrl-C, it goes on from its last finished round when it is started again.",
        epilog="Example: python -m adapters.mqtt --keys keys/aggregator --keeper keys/keeper --broker 127.0.0.1:8883 "
        "--state job --model smart-home-intents --weights initial.safetensors --rounds 3",
    )
    parser.add_argument(
        "--broker", type=read_address, default=("127.0.0.1", 8883), metavar="HOST:PORT", help="where it listens, by TLS"
    )
    parser.add_argument("--keeper", type=Path, help="folder of the enrolled gateway that keeps the broker's topics")
    parser.add_argument("--authority", type=Path, help="PEM file that the broker's certificate leads to")
    parser.add_argument(
        "--payload-bytes", type=int, default=64 * MEBIBYTE, help="of one message; as at the broker (67108864)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
