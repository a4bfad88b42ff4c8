"""``ztfm identity check``: a whole ledger looked through from outside, by whoever wants to."""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.progress import Progress

from controlplane.cli.configured import load_settings
from controlplane.cli.stores import existing_store
from controlplane.identity.checking import Checked, check
from controlplane.identity.comparing import compare
from controlplane.identity.ledgers.interface import Anchored, Ledger, LedgerLied, LedgerUnavailable
from controlplane.identity.ledgers.log import Cursor
from controlplane.identity.ledgers.overhttp import HttpLogLedger, HttpSource
from controlplane.identity.ledgers.plugging import LedgerUnusable, open_ledger
from controlplane.identity.pinned import Founders, FoundersInvalid, read_founders
from controlplane.settings import is_safe_url
from controlplane.storage.errors import StoreError
from controlplane.transparency.checkpoints import Quorum
from controlplane.transparency.notes import NoteInvalid, Verifier
from controlplane.transparency.proofs import LogKeys

_MOST_REMEMBERED = 4096


@dataclass(frozen=True)
class _Asked:
    """What is to be checked, and by what.

    Attributes:
        url: of the control plane that keeps the log; none for another ledger.
        founders: what is pinned.
        federation: whose records they are.
        log_key: of the log, where it is named here.
        witnesses: keys of those who must have signed, beside those that are pinned.
        needed: how many of them; none for as many as are pinned, or all.
        remembered: where the ledger ended the last time.
        state_dir: of the control plane whose registry is compared too; none for no registry.
    """

    url: str | None
    founders: Founders
    federation: str
    log_key: str | None
    witnesses: tuple[str, ...]
    needed: int | None
    remembered: str | None
    state_dir: Path | None


def register(group: typer.Typer) -> None:
    """Add this command to the group ``ztfm identity``."""
    group.command("check")(check_ledger)


def check_ledger(
    founders: Annotated[Path, typer.Option(help="What `ztfm identity founders --json` printed when you trusted it.")],
    url: Annotated[str | None, typer.Argument(metavar="URL", help="The control plane that keeps the log.")] = None,
    ledger: Annotated[str, typer.Option(help="Kind of the ledger: log, or one that is installed.")] = "log",
    federation: Annotated[str | None, typer.Option(help="Whose records; that of the file by default.")] = None,
    log_key: Annotated[str | None, typer.Option(help="The log's verifier key, instead of the file's.")] = None,
    witness: Annotated[
        list[str] | None, typer.Option(help="A witness's verifier key; may be given several times.")
    ] = None,
    needed: Annotated[int | None, typer.Option(min=0, help="Witnesses that must have signed.")] = None,
    remember: Annotated[
        Path | None, typer.Option(help="Keep in this file where the log ended, and hold the next check against it.")
    ] = None,
    state_dir: Annotated[
        Path | None, typer.Option(help="Compare the registry of the control plane with this state folder, too.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Follow a whole ledger from outside: verify every signature, the order, the heads, and that it only grew.

    Exits with 1 when something does not hold, and names the record and its place; with 1 too when it cannot be read.

    Example: `ztfm identity check https://plane.example --founders founders.json --remember seen.json`
    """
    try:
        pinned = read_founders(founders)
        named = federation or pinned.federation
        if named is None:
            raise FoundersInvalid(f"{founders} names no federation: name it with --federation")
        remembered = _remembered(remember)
        asked = _Asked(url, pinned, named, log_key, tuple(witness or ()), needed, remembered, state_dir)
        found, is_pinned = asyncio.run(_check(asked, ledger, json_output=json_output))
        if remember is not None and not found.faults and found.cursor is not None:
            _keep(remember, found.cursor)
    except LedgerLied as error:
        _fail(f"the ledger contradicts itself: {error}")
    except LedgerUnavailable as error:
        _fail(f"the ledger cannot be read: {error}")
    except (FoundersInvalid, LedgerUnusable, NoteInvalid, StoreError, OSError, ValueError) as error:
        _fail(str(error))
    _show(found, is_pinned=is_pinned, json_output=json_output)
    if found.faults:
        raise typer.Exit(1)


async def _check(asked: _Asked, kind: str, *, json_output: bool) -> tuple[Checked, bool]:
    async with AsyncExitStack() as opened:
        ledger, is_pinned = await _opened(opened, asked, kind)
        begin, before = asked.remembered, [0]
        through = records = 0
        if kind == "log" and begin is not None:
            cursor = Cursor.parse(begin)
            through, records = cursor.through, cursor.records
            # From the beginning again, and held against the head that was seen.
            begin = cursor.model_copy(update={"records": 0, "through": 0}).model_dump_json()
        elif begin is not None:
            await ledger.follow(begin, 1)
            begin = None

        def _count(one: Anchored) -> None:
            before[0] += int(one.place.rpartition(" ")[2]) < through if kind == "log" else 0

        with Progress(disable=json_output or not sys.stderr.isatty(), transient=True) as shown:
            task = shown.add_task("records", total=None)
            found = await check(
                ledger,
                asked.founders.keys,
                asked.federation,
                lambda done: shown.update(task, completed=done.records),
                begin=begin,
                each=_count,
            )
        if not any(one.what == "ledger" for one in found.faults) and before[0] != records:
            message = f"up to entry {through} it showed {records} records before, and {before[0]} now"
            found.fault("ledger", f"entry {through}", "", message)
        if asked.state_dir is not None and not any(one.what == "ledger" for one in found.faults):
            await _compare(found, asked)
        return found, is_pinned


async def _compare(found: Checked, asked: _Asked) -> None:
    """Compare every device of a registry with what the ledger was just read to say, whatever is kept of it there."""
    async with existing_store(load_settings(state_dir=asked.state_dir)) as store:
        after = ""
        while page := await store.ledgers.enrolled(after):
            after = page[-1].id
            waiting = await store.ledgers.waiting([one.id for one in page])
            for one in page:
                finding = compare(one, found.known.get(one.id), waiting.get(one.id, ()), found.known, asked.federation)
                if finding is not None:
                    found.fault("registry", "", one.id, f"{finding.detail} ({finding.kind})")


async def _opened(opened: AsyncExitStack, asked: _Asked, kind: str) -> tuple[Ledger, bool]:
    """Return the ledger, and whether its keys were known beforehand."""
    if kind != "log":
        founders = asked.founders.keys
        ledger = open_ledger(kind, os.environ, time.time, federation=asked.federation, founders=founders)
        if isinstance(ledger, AbstractAsyncContextManager):
            await opened.enter_async_context(ledger)
        return ledger, True
    if asked.url is None or not asked.url.startswith(("http://", "https://")):
        raise ValueError("name the control plane that keeps the log: https://...")
    if not is_safe_url(asked.url):
        typer.echo(
            "This is plain HTTP: what is proven holds all the same, what is withheld may be on the way.", err=True
        )
    source = await opened.enter_async_context(HttpSource(asked.url))
    keys = asked.founders.log
    if asked.log_key is not None:
        keys = LogKeys(log=asked.log_key, witnesses=[], needed=0)
    return HttpLogLedger(source, _quorum(keys or await source.keys(), asked)), keys is not None


def _quorum(keys: LogKeys, asked: _Asked) -> Quorum:
    witnesses = tuple(Verifier.parse(one) for one in dict.fromkeys([*keys.witnesses, *asked.witnesses]))
    needed = asked.needed
    if needed is None:
        needed = len(witnesses) if asked.witnesses else keys.needed
    return Quorum(Verifier.parse(keys.log), witnesses, needed)


def _remembered(path: Path | None) -> str | None:
    if path is None or not path.exists():
        return None
    return path.read_text()[:_MOST_REMEMBERED].strip()


def _keep(path: Path, cursor: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(cursor + "\n")
    draft.replace(path)


def _show(found: Checked, *, is_pinned: bool, json_output: bool) -> None:
    kinds = Counter(f"{one.kind}s" for one in found.known.values() if not one.is_revoked)
    revoked = sum(one.is_revoked for one in found.known.values())
    if json_output:
        shown = {
            "records": found.records,
            "devices": kinds["devices"],
            "issuers": kinds["issuers"],
            "revoked": revoked,
            "log_key_pinned": is_pinned,
            "cursor": found.cursor,
            "faults": [asdict(one) for one in found.faults],
            "sound": not found.faults,
        }
        typer.echo(json.dumps(shown))
        return
    counted = f"{found.records} records: {kinds['devices']} devices, {kinds['issuers']} issuers, {revoked} revoked"
    typer.echo(f"{counted}; " + ("all hold" if not found.faults else f"{len(found.faults)} do not hold"))
    for fault in found.faults:
        where = " ".join(part for part in (fault.place, fault.subject) if part)
        typer.echo(f"  {fault.what} {where}: {fault.message}" if where else f"  {fault.what}: {fault.message}")
    if not is_pinned:
        typer.echo("The log's key came from the log itself: pin it (--log-key), or nothing keeps it from changing.")


def _fail(message: str) -> NoReturn:
    typer.echo(f"ztfm identity check: {message}", err=True)
    raise typer.Exit(1)
