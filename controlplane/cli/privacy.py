"""``ztfm privacy``: what was spent of privacy budgets, and what so many rounds with so much noise would cost."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from controlplane.cli.configured import load_settings
from controlplane.cli.privacy_planned import Asked, planned, show_plan
from controlplane.cli.stores import on_store
from controlplane.confidentiality.privacy import Accountant, AccountantMissing
from controlplane.confidentiality.privacy.planning import plans_of
from controlplane.contracts.privacy import PrivacyAccount, PrivacyMode, PrivacyPlan, PrivacyStanding
from controlplane.decisions.privacy import PrivacyBook
from controlplane.decisions.privacy_standing import PrivacyStandings
from controlplane.sidecar.folders import product_folder
from controlplane.storage import Store
from controlplane.telemetry.privacy_metrics import Unobserved

app = typer.Typer(
    help="Privacy budgets: what was spent of whose data, and what noise would cost.\n\n"
    "Example: `ztfm privacy plan --model fall-detection`",
    no_args_is_help=True,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Policies = Annotated[Path | None, typer.Option(help="The policy folder whose plans are meant.")]


class _Written:
    """Plans as a policy folder has them."""

    def __init__(self, plans: Mapping[str, PrivacyPlan]) -> None:
        self._plans = plans

    async def plans(self) -> Mapping[str, PrivacyPlan] | None:
        return self._plans


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="ID", help="A device, such as dev-Qm2f..., or a data set.")],
    policies: Policies = None,
    state_dir: Annotated[Path | None, typer.Option(help="The control plane's state folder.")] = None,
    json_output: AsJson = False,
) -> None:
    """Show what was spent of a device's budgets, or of a data set's, in the window and ever, and when there is room.

    It looks at the store itself, and at the plans of the policy folder: name the one whose policies decide.

    Example: `ztfm privacy show falls --json`
    """
    plans = _Written(_plans(policies))

    async def _look(store: Store) -> PrivacyStanding | None:
        book = PrivacyBook(plans, store.privacy, Accountant(), Unobserved(), time.time)
        standings = PrivacyStandings(plans, store.privacy, book, time.time)
        if await store.devices.get(name) is not None:
            return await standings.of_device(name)
        return await standings.of_data_set(name)

    found = on_store("privacy show", state_dir, _look)
    if found is None:
        _fail("show", f"{name} is no device, and no data set that anything was spent of; see data/privacy")
    if json_output:
        typer.echo(found.model_dump_json())
    else:
        _show(found)


@app.command("plan")
def plan(
    model: Annotated[str | None, typer.Option(help="Begin with the plan of this model.")] = None,
    noise: Annotated[float | None, typer.Option(min=0.001, max=1e6, help="Noise multiplier.")] = None,
    mode: Annotated[PrivacyMode | None, typer.Option(help="Who adds the noise.")] = None,
    sampling: Annotated[float | None, typer.Option(min=1e-9, max=1.0, help="Probability of being drawn.")] = None,
    delta: Annotated[float | None, typer.Option(min=1e-300, max=0.999, help="Of the guarantee.")] = None,
    epsilon: Annotated[float | None, typer.Option(min=1e-6, max=1e6, help="The budget.")] = None,
    rounds: Annotated[int, typer.Option(min=1, max=100_000, help="Rounds that are wanted within a window.")] = 30,
    policies: Policies = None,
    json_output: AsJson = False,
) -> None:
    """Say what rounds with so much noise cost together, what a budget buys, and what noise would be enough.

    Nothing is asked and nothing is charged: it computes.

    Example: `ztfm privacy plan --mode central --noise 4 --sampling 0.1 --delta 1e-6 --epsilon 2 --rounds 100`
    """
    kept = None
    if model is not None:
        kept = _plans(policies).get(model)
        if kept is None:
            _fail("plan", f"{model} has no whole plan in data/privacy of the policy folder; see docs/privacy.md", 2)
    asked = Asked.of(kept, noise, mode, sampling, delta, epsilon, rounds)
    if asked is None:
        _fail("plan", "name --noise, --delta and --epsilon, or a --model that has a plan", 2)
    try:
        found = planned(asked, Accountant())
    except AccountantMissing as error:
        _fail("plan", str(error))
    if json_output:
        typer.echo(json.dumps(found.document()))
    else:
        show_plan(found)


def _plans(policies: Path | None) -> Mapping[str, PrivacyPlan]:
    folder = policies or load_settings().policies or product_folder("policies")
    path = folder / "data" / "privacy" / "data.json"
    try:
        found: Any = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        typer.echo(f"ztfm privacy: {path} cannot be read ({type(error).__name__}): name a folder of policies", err=True)
        raise typer.Exit(1) from None
    return plans_of(found if isinstance(found, dict) else {})


def _fail(command: str, message: str, status: int = 1) -> NoReturn:
    typer.echo(f"ztfm privacy {command}: {message}", err=True)
    raise typer.Exit(status) from None


def _show(found: PrivacyStanding) -> None:
    for one in found.accounts:
        budget = "no plan" if one.budget is None else f"{one.budget.epsilon:g} in {one.budget.window_days} d"
        share = "" if one.share is None else f" ({one.share:.0%})"
        typer.echo(f"{one.id}  {one.data_set}: epsilon {_number(one.epsilon_spent)} of {budget}{share}")
        typer.echo(f"    {_number(one.epsilon_ever)} ever, in {one.charges} charges; {_room(one)}")
    if found.devices is not None:
        typer.echo(f"{found.devices} devices spent something of it; of those the fullest are told", err=True)
    if any(not one.known for one in found.accounts):
        typer.echo("a dash: no plan charges it, or it cannot be composed (pip install 'ztfm[privacy]')", err=True)


def _room(one: PrivacyAccount) -> str:
    if one.returns_at is not None:
        return f"room for one more from {time.strftime('%Y-%m-%d', time.gmtime(one.returns_at))} on"
    return "room for one more now, or never" if one.known else "whether there is room is not known"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
