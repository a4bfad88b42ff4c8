"""Run the job in NVFLARE's simulator.

With a control plane running (`ztfm serve`), in an environment with NVFLARE 2.9 and `ztfm[torch]`:

    ztfm tokens issue --role trainer --segment homes --count 3 > trainers.txt
    ztfm tokens issue --role aggregator --segment core > aggregator.txt
    python -m examples.nvflare_job.job --url http://127.0.0.1:8181 --trainers trainers.txt --aggregator aggregator.txt
"""

import argparse
from pathlib import Path

from nvflare.recipe import SimEnv

from adapters.member import Member
from adapters.nvflare import GuardPoint
from adapters.nvflare.point import REPORT
from adapters.nvflare.recipe import GuardedFedAvgRecipe
from examples.nvflare_job.net import Net
from examples.nvflare_job.trusted import TrustedCorners

MODEL = "smart-home-intents"
"""The model's identifier in `policies/data/resources`."""

SCRIPT = Path(__file__).with_name("client.py")


def recipe(point: GuardPoint, member: str, sites: int, rounds: int, script: Path = SCRIPT) -> GuardedFedAvgRecipe:
    """Return the guarded job.

    Args:
        point: that guards it.
        member: folder of the enrolled device at each site; ``{site}`` is the site's name.
        sites: how many.
        rounds: how many.
        script: that sites train with.
    """
    return GuardedFedAvgRecipe(
        name="corners",
        model=Net(),
        min_clients=sites,
        num_rounds=rounds,
        train_script=str(script),
        point=point,
        trusted=TrustedCorners(),
        member_folder=member,
    )


def simulate(folder: Path, sites: int, rounds: int, script: Path = SCRIPT) -> Path:
    """Run the job in the simulator and return the file that says what became of each round.

    Args:
        folder: with the aggregator's key in ``aggregator`` and each site's in a folder of the site's name.
        sites: how many.
        rounds: how many.
        script: that sites train with.
    """
    keys = folder.resolve()
    point = GuardPoint(audience="aggregator-1", model=MODEL, folder=str(keys / "aggregator"))
    made = recipe(point, str(keys / "{site}"), sites, rounds, script)
    run = made.run(SimEnv(num_clients=sites, workspace_root=str(keys / "simulation")))
    return Path(str(run.get_result())) / "server" / "simulate_job" / REPORT


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
    for number, token in enumerate(tokens, start=1):
        Member.enrol(given.folder / f"site-{number}", given.url, token).close()
    token = given.aggregator.read_text().strip()
    Member.enrol(given.folder / "aggregator", given.url, token, roles=["aggregator"], segment="core").close()
    print(f"what became of each round is in {simulate(given.folder, len(tokens), given.rounds)}")


if __name__ == "__main__":
    main()
