"""``ztfm rounds verify`` and ``rebuild``: an aggregator's archive of updates, looked at where its folder is.

The tensors are the adapters' business, which the control plane does not need; they are loaded by name when asked for.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NoReturn, Protocol, cast

import typer

from controlplane.cli.configured import load_settings
from controlplane.cli.stores import existing_store
from controlplane.contracts.rollback import Contribution
from controlplane.contracts.rounds import Round
from controlplane.storage import Store
from controlplane.storage.errors import StoreError

OFFLINE = "adapters.rollback.offline"

Progress = Callable[[int, int], None]

LastDone = tuple[str, str, float]
"""Id, digest of the rebuilt weights, and end (Unix seconds) of the last order that is done."""

_MOST_ORDERS = 1000

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The aggregator's archive.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


class Offline(Protocol):
    """What is asked of the adapters (`adapters.rollback.offline`)."""

    FAULTS: tuple[type[Exception], ...]

    def parties(self, folder: Path) -> tuple[list[str], list[str]]:
        """Return of which models an archive holds rounds, and who says to have signed them."""
        ...

    def verified(
        self, folder: Path, signer: str | None, progress: Progress | None = None, last_done: LastDone | None = None
    ) -> dict[str, Any]:
        """Return what holds of an archive and what does not."""
        ...

    def rebuilt(
        self,
        folder: Path,
        out: Path,
        without: Sequence[str],
        since: str | None,
        key_folder: Path | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Write a rebuilt model to a file, and return what that took."""
        ...


def register(group: typer.Typer) -> None:
    """Add these commands to the group ``ztfm rounds``."""
    group.command("verify")(verify)
    group.command("rebuild")(rebuild)


def verify(
    folder: Folder,
    signer: Annotated[str | None, typer.Option(help="Who should have signed, such as dev-Qm2f...")] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Compare with what the control plane admitted.")] = False,
    state_dir: Annotated[Path | None, typer.Option(help="The control plane's state folder, for --compare.")] = None,
    json_output: AsJson = False,
) -> None:
    """Verify an archive: signatures, the chain, every digest, and that each round gives its weights when done again.

    Exits with 0 when everything holds, with 1 when something does not, with 2 when it could not be looked at.

    Example: `ztfm rounds verify /var/lib/aggregator/archive --compare --state-dir /var/lib/ztfm`
    """
    offline = _offline("verify")
    faults: tuple[type[Exception], ...] = (StoreError, *offline.FAULTS)
    try:
        last = asyncio.run(_last_done(state_dir, *offline.parties(folder))) if compare else None
        found = offline.verified(folder, signer, _progress(json_output), last)
        if compare:
            found["faults"] += asyncio.run(_compared(state_dir, found["rounds"], found["signers"]))
            found["holds"] = not found["faults"]
    except faults as error:
        _fail("verify", str(error), 2)
    if json_output:
        typer.echo(json.dumps(found))
    else:
        _show(found, is_compared=compare)
    if not found["holds"]:
        raise typer.Exit(1)


def rebuild(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="The safetensors file to write; it must not be there.")],
    without: Annotated[
        list[str] | None, typer.Option(help="Whose updates are left out; none for the model as it is.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="The first round that is done again; none for the first.")] = None,
    key: Annotated[Path | None, typer.Option(help="Folder of the enrolled aggregator, to sign the record.")] = None,
    json_output: AsJson = False,
) -> None:
    """Write a model without what some subjects contributed. The archive and the control plane stay as they are.

    Exits with 0 when it is written, with 1 when it could not be.

    Example: `ztfm rounds rebuild /var/lib/aggregator/archive --without dev-Qm2f --out cleaned.safetensors`
    """
    offline = _offline("rebuild")
    try:
        found = offline.rebuilt(folder, out, without or [], since, key, _progress(json_output))
    except offline.FAULTS as error:
        _fail("rebuild", str(error))
    if json_output:
        typer.echo(json.dumps(found))
        return
    record = found["record"]
    typer.echo(f"{out}: {found['weights']}")
    if record is not None:
        for answer in record["answers"]:
            typer.echo(f"  {answer['left_out']} updates of {', '.join(answer['without'])} are left out")
            if answer["incomplete"]:
                typer.echo(f"  not all: {answer['incomplete']}")
        typer.echo(f"  {len(record['replayed'])} rounds were done again")
        if record["dropped"]:
            typer.echo(f"  dropped, for they cannot be done again: {', '.join(record['dropped'])}")


async def _last_done(state_dir: Path | None, models: Sequence[str], signers: Sequence[str]) -> LastDone | None:
    """Return the last order that these parties told to be done, with a round of theirs replayed."""
    found: list[LastDone] = []
    async with existing_store(load_settings(state_dir=state_dir)) as store:
        for model in models:
            for order in await store.rollbacks.page(model, "done", _MOST_ORDERS):
                opened = await store.rounds.get(order.round_id)
                is_theirs = opened is not None and opened.opened_by in signers
                if is_theirs and order.rounds and order.model_digest and order.ended_at:
                    found.append((order.id, order.model_digest, order.ended_at))
    return max(found, key=lambda one: one[2], default=None)


async def _compared(state_dir: Path | None, rounds: Sequence[Mapping[str, Any]], signers: Sequence[str]) -> list[str]:
    async with existing_store(load_settings(state_dir=state_dir)) as store:
        return [fault for one in rounds for fault in await _differences(store, one, signers)]


async def _differences(store: Store, archived: Mapping[str, Any], signers: Sequence[str]) -> list[str]:
    opened = await store.rounds.get(archived["round_id"])
    return differences(archived, opened, await store.contributions.of_round(archived["round_id"]), signers)


def differences(
    archived: Mapping[str, Any], opened: Round | None, admitted: Sequence[Contribution], signers: Sequence[str]
) -> list[str]:
    """Return in what an archived round differs from what the control plane knows of it.

    What was admitted and is not in the archive is no fault: an aggregator may leave out more than policy does.

    Args:
        archived: a round as `Offline.verified` gives it.
        opened: the round as it was opened; none when nobody opened it.
        admitted: the updates that were admitted to it.
        signers: who signed the archive.
    """
    name = f"round {archived['round_id']}"
    if opened is None:
        return [f"{name}: the control plane knows no such round"]
    found = []
    if opened.model_digest != archived["weights_before"]:
        found.append(f"{name}: it was opened for other weights than it begins with")
    if opened.opened_by not in signers:
        found.append(f"{name}: {opened.opened_by} opened it, and somebody else signed")
    known = {(one.subject, one.update_digest, one.decision_id) for one in admitted}
    archived_updates = [(one["subject"], one["update_digest"], one["decision_id"]) for one in archived["updates"]]
    return found + [f"{name}: the update of {one[0]} was not admitted" for one in archived_updates if one not in known]


def _show(found: Mapping[str, Any], *, is_compared: bool) -> None:
    rounds, updates = len(found["rounds"]), sum(len(one["updates"]) for one in found["rounds"])
    typer.echo(f"{rounds} rounds with {updates} updates, signed by {', '.join(found['signers']) or 'nobody'}")
    typer.echo(f"  {found['replayed']} rounds give the signed weights when they are done again")
    for key, what in (("not_replayable", "cannot be done again"), ("restarts", "begin with weights from elsewhere")):
        if found[key]:
            typer.echo(f"  {len(found[key])} {what}: {', '.join(found[key])}")
    if found["rollbacks"]:
        typer.echo(f"  the model was rebuilt {len(found['rollbacks'])} times")
    if is_compared and found["holds"]:
        typer.echo("  every update was admitted by the control plane")
    for fault in found["faults"]:
        typer.echo(f"  FAULT {fault}", err=True)
    typer.echo("everything holds" if found["holds"] else f"{len(found['faults'])} faults")


def _offline(command: str) -> Offline:
    try:
        return cast("Offline", import_module(OFFLINE))
    except ModuleNotFoundError as error:
        _fail(command, f"the package '{error.name}' is missing: pip install 'ztfm[torch]'", 2)


def _progress(json_output: bool) -> Progress | None:
    if json_output or not sys.stderr.isatty():
        return None

    def show(done: int, of: int) -> None:
        typer.echo(f"\r{done} of {of}", nl=done == of, err=True)

    return show


def _fail(command: str, message: str, status: int = 1) -> NoReturn:
    typer.echo(f"ztfm rounds {command}: {message}", err=True)
    raise typer.Exit(status) from None
