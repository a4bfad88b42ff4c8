"""``ztfm segments table`` and ``reach``: what a control plane grants on the network, and what that lets through."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Literal, NoReturn, TypeVar
from urllib.parse import urlencode

import typer
from pydantic import ValidationError

from controlplane.cli.asked import Asked, Identity, Unanswered, enrolled
from controlplane.contracts.attachments import ReachFound
from controlplane.contracts.segmentation import GrantTable, Protocol
from controlplane.decisions.reaching import ReachQuestion, reaching
from controlplane.segmentation import cilium, kubernetes, nftables, nginx, wireguard
from controlplane.segmentation.flows import TooManyFlows, rules_of

MAX_TABLE_BYTES = 64 * 1024 * 1024

Result = TypeVar("Result")
Form = Literal["summary", "json", "nftables", "wireguard", "kubernetes", "cilium", "nginx"]

Url = Annotated[str | None, typer.Option(help="Where the control plane answers; where it enrolled unless told.")]
Key = Annotated[Path | None, typer.Option(help="Folder of an enrolled operator or router.")]
TableFile = Annotated[Path | None, typer.Option("--file", help="Of this file, as `--as json` writes it; asks nobody.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def register(app: typer.Typer) -> None:
    """Add these commands to `ztfm segments`."""
    app.command("table")(table)
    app.command("reach")(reach)


def table(
    key: Key = None,
    url: Url = None,
    file: TableFile = None,
    form: Annotated[Form, typer.Option("--as", help="What to print it as.")] = "summary",
    namespace: Annotated[str, typer.Option(help="Of the objects for Kubernetes and Cilium.")] = "default",
    json_output: AsJson = False,
) -> None:
    """Show the table of grants, or print it compiled: for nft -f, wg, kubectl apply -f, or nginx.

    Exits with 0 when it was shown, with 1 when it cannot be had or compiled.

    Example: `ztfm segments table --key keys/operator --as nftables`
    """
    found = _table("table", key, url, file)
    try:
        typer.echo(_printed(found, "json" if json_output else form, namespace, _now(found)), nl=False)
    except (TooManyFlows, kubernetes.TooManyPeers) as error:
        _fail("table", str(error))


def reach(
    key: Key = None,
    url: Url = None,
    file: TableFile = None,
    device: Annotated[str | None, typer.Option(help="Of this device.")] = None,
    source: Annotated[str | None, typer.Option(help="From this address, whoever has it.")] = None,
    site: Annotated[str | None, typer.Option(help="Of devices at this site.")] = None,
    line: Annotated[str | None, typer.Option(help="Of devices on this line.")] = None,
    device_class: Annotated[str | None, typer.Option(help="Of devices of this class.")] = None,
    service: Annotated[str | None, typer.Option(help="To this service of data/services.")] = None,
    destination: Annotated[str | None, typer.Option(help="To this address.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65_535, help="To this port.")] = None,
    protocol: Annotated[Protocol, typer.Option(help="Of the port.")] = "tcp",
    json_output: AsJson = False,
) -> None:
    """Say what can be reached now, by the rules that the table compiles to.

    Exits with 0 when something is reached, with 1 when nothing is, with 2 when that cannot be told. A file says
    nothing of sites, lines and classes: of one, ask by `--source`.

    Example: `ztfm segments reach --key keys/operator --device-class camera --line line-2 --service aggregator`
    """
    asked = {
        "device": device,
        "source": source,
        "site": site,
        "line": line,
        "device_class": device_class,
        "service": service,
        "destination": destination,
        "port": port,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    given |= {} if protocol == "tcp" else {"protocol": protocol}
    if file is not None:
        if source is None or given.keys() & {"device", "site", "line", "device_class"}:
            _fail("reach", "with --file, ask by --source alone: a table does not say where devices are", 2)
        question = ReachQuestion(source=source, service=service, destination=destination, port=port, protocol=protocol)
        try:
            read = _read("reach", file, 2)
            found = asyncio.run(reaching(question, read, (), _now(read)))
        except (ValueError, TooManyFlows) as error:
            _fail("reach", str(error), 2)
    else:
        path = "/v1/segments/reach" + (f"?{urlencode(given)}" if given else "")
        answer = _ask("reach", key, url, lambda plane, who: plane.get(path, who), 2)
        found = _understood("reach", ReachFound, answer, 2)
    _show(found, json_output)
    if not any(one.reach.reaches for one in found.reaches):
        raise typer.Exit(1)


def _now(found: GrantTable) -> float:
    """The time, Unix seconds; a clock that is behind the one that made a table would let its grants live longer."""
    return max(time.time(), found.made_at)


def _show(found: ReachFound, json_output: bool) -> None:
    if json_output:
        typer.echo(found.model_dump_json(exclude_none=True))
        return
    for one in found.reaches:
        flow = f"{one.device or one.reach.source} -> {one.service or one.reach.destination}"
        detail = f"{one.reach.source} to {one.reach.destination} {one.reach.protocol} {one.reach.port}"
        typer.echo(f"{'reaches ' if one.reach.reaches else 'does not'}  {flow}  ({detail}): {one.reach.because}")
    if not found.reaches:
        typer.echo("no device of that place is attached, or there is no such service", err=True)
    if not found.complete:
        typer.echo("there are more of them than are answered at once: narrow the question", err=True)


def _printed(found: GrantTable, form: Form, namespace: str, now: float) -> str:
    match form:
        case "json":
            return found.model_dump_json(exclude_none=True) + "\n"
        case "nftables":
            return nftables.file_of(rules_of(found, now), now)
        case "wireguard":
            return wireguard.file_of(wireguard.peers_of(found, now))
        case "kubernetes" | "cilium":
            made = (kubernetes if form == "kubernetes" else cilium).policies(found, now, namespace)
            return json.dumps({"apiVersion": "v1", "kind": "List", "items": made}, indent=2) + "\n"
        case "nginx":
            parts = nginx.files_of(found, now)
            return "".join(f"# {name}\n{text.rstrip()}\n" for name, text in parts.items())
        case "summary":
            return _summary(found, now)


def _summary(found: GrantTable, now: float) -> str:
    lines = [f"table {found.revision[:16]} of policy {found.policy_revision or '(none)'}"]
    lines += [
        f"  {name}: {', '.join(service.addresses)} {service.protocol} {', '.join(map(str, service.ports))}"
        for name, service in found.services.items()
    ]
    for grant in found.grants:
        left = max(0.0, grant.expires_at - now)
        lines.append(f"grant  {grant.device}  {grant.source} -> {grant.service}  for {left:.0f} s  {grant.decision}")
    lines += [f"cut    {cut.device}  {cut.address}  {cut.reason}" for cut in found.cuts]
    return "\n".join([*lines, f"{len(found.grants)} grants, {len(found.cuts)} cuts; everything else is dropped"]) + "\n"


def _table(command: str, key: Path | None, url: str | None, file: Path | None) -> GrantTable:
    if file is not None:
        return _read(command, file)
    answer = _ask(command, key, url, lambda plane, who: plane.get("/v1/segments/table", who, most=MAX_TABLE_BYTES))
    return _understood(command, GrantTable, answer)


def _read(command: str, file: Path, status: int = 1) -> GrantTable:
    try:
        return _understood(command, GrantTable, file.read_bytes(), status)
    except OSError as error:
        _fail(command, f"{file} cannot be read: {error.strerror}", status)


def _ask(
    command: str,
    key: Path | None,
    url: str | None,
    question: Callable[[Asked, Identity], Awaitable[bytes]],
    status: int = 1,
) -> bytes:
    if key is None:
        _fail(command, "who asks? Name the folder of an enrolled operator or router with --key, or a table's --file", 2)

    async def _answered() -> bytes:
        who = enrolled(key)
        plane = Asked(url or who.url)
        try:
            return await question(plane, who)
        finally:
            await plane.close()

    try:
        return asyncio.run(_answered())
    except Unanswered as error:
        _fail(command, str(error), status)


def _understood(command: str, model: type[Result], raw: bytes, status: int = 1) -> Result:
    try:
        return model.model_validate_json(raw)  # type: ignore[attr-defined, no-any-return]
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        _fail(command, f"what was read is not what it should be: {place} {first['msg']}", status)


def _fail(command: str, message: str, status: int = 1) -> NoReturn:
    typer.echo(f"ztfm segments {command}: {message}", err=True)
    raise typer.Exit(status) from None
