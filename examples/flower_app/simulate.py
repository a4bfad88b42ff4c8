"""Enrol a federation and run the app in Flower's simulation.

With a control plane running (`ztfm serve`):

    ztfm tokens issue --role trainer --segment homes --count 5 > trainers.txt
    ztfm tokens issue --role aggregator --segment core > aggregator.txt
    python -m examples.flower_app.simulate --url http://127.0.0.1:8181 --trainers trainers.txt \
        --aggregator aggregator.txt
"""

import os

os.environ.update(FLWR_TELEMETRY_ENABLED="0", FLWR_DISABLE_UPDATE_CHECK="1", RAY_USAGE_STATS_ENABLED="0")

import argparse
from pathlib import Path

from flwr.simulation import run_simulation

from adapters.member import Member
from examples.flower_app import client_app, server_app


def main() -> None:
    """Enrol whoever has a token, then run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="the control plane's public URL")
    parser.add_argument("--trainers", type=Path, required=True, help="file with one enrolment token a line")
    parser.add_argument("--aggregator", type=Path, required=True, help="file with the aggregator's token")
    parser.add_argument("--folder", type=Path, default=Path("federation"), help="where keys are kept")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    tokens = given.trainers.read_text().split()
    for number, token in enumerate(tokens):
        Member.enrol(given.folder / f"member-{number}", given.url, token).close()
    aggregator = given.folder / "aggregator"
    token = given.aggregator.read_text().strip()
    Member.enrol(aggregator, given.url, token, roles=["aggregator"], segment="core").close()
    run_simulation(
        server_app=server_app.build(aggregator, given.rounds),
        client_app=client_app.build(given.folder),
        num_supernodes=len(tokens),
        backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}},
    )


if __name__ == "__main__":
    main()
