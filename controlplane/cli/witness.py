"""``ztfm witness``: watch logs of other organisations, and sign that they only grow."""

import asyncio
import json
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from aiohttp import web

from controlplane.capabilities.errors import KeyFileError
from controlplane.capabilities.keyfiles import create_private, read_private
from controlplane.transparency.keys import new_signer, read_signer, write_signer
from controlplane.transparency.notes import NoteInvalid, Signer, Verifier
from controlplane.witness.memory import Memory
from controlplane.witness.service import build_witness
from controlplane.witness.watching import Watch

KEY_FILE, MEMORY_FILE = "witness.key", "witness.db"

app = typer.Typer(
    help="Watch logs of other organisations, and sign that they only grow.\n\n"
    "Example: `ztfm witness init --name org-b --folder witness`",
    no_args_is_help=True,
)

Folder = Annotated[Path, typer.Option(help="Where the witness keeps its key and what it saw.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("init")
def init(
    name: Annotated[str, typer.Option(help="Names the witness; its organisation, say.")],
    folder: Folder = Path("witness"),
    json_output: Json = False,
) -> None:
    """Make a witness's key and its memory, and print the key that logs are to know it by.

    Example: `ztfm witness init --name org-b --folder witness`
    """
    try:
        signer = new_signer(name, "cosignature")
        verifier = str(signer.verifier)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if read_private(folder / KEY_FILE) is not None:
            _fail("init", f"{folder / KEY_FILE} is there already: one witness keeps one key")
        Memory.create(folder / MEMORY_FILE)
        create_private(folder / KEY_FILE, write_signer(signer))
    except (KeyFileError, NoteInvalid, OSError) as error:
        _fail("init", str(error))
    typer.echo(json.dumps({"verifier": verifier, "folder": str(folder)}) if json_output else verifier)


@app.command("serve")
def serve(
    log: Annotated[list[str], typer.Option(help="VERIFIER_KEY of a log, or VERIFIER_KEY=URL of its control plane.")],
    folder: Folder = Path("witness"),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8190,
    json_output: Json = False,
) -> None:
    """Answer logs that show their heads (c2sp.org/tlog-witness), until interrupted.

    With the URL of a log's control plane the hashes of its entries are copied, and a changed entry can be named.

    Example: `ztfm witness serve --folder witness --log "$(cat log.vkey)=http://127.0.0.1:8181"`
    """
    try:
        signer = _signer(folder)
        named = [_log(one) for one in log]
        memory = Memory(folder / MEMORY_FILE)
    except (KeyFileError, NoteInvalid, OSError) as error:
        _fail("serve", str(error))
    watch = Watch(signer, [key for key, _ in named], memory, time.time)
    urls = {key.name: url for key, url in named if url}
    try:
        asyncio.run(_serve(build_witness(watch, memory, urls), host, port, str(signer.verifier), json_output))
    except OSError as error:
        _fail("serve", str(error))
    finally:
        memory.close()


@app.command("findings")
def findings(folder: Folder = Path("witness"), json_output: Json = False) -> None:
    """Say what the witness found that must not be; exits with 1 when there is something.

    Example: `ztfm witness findings --folder witness --json`
    """
    try:
        memory = Memory(folder / MEMORY_FILE)
    except OSError as error:
        _fail("findings", str(error))
    found = memory.findings()
    memory.close()
    if json_output:
        shown = [{"log": one.origin, "time": one.time, "place": one.place, "what": one.what} for one in found]
        typer.echo(json.dumps({"findings": shown}))
    else:
        for one in found:
            typer.echo(f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(one.time))}Z {one.origin}: {one.what}")
        if not found:
            typer.echo("nothing was found")
    if found:
        raise typer.Exit(1)


async def _serve(app: web.Application, host: str, port: int, verifier: str, json_output: bool) -> None:
    stop = asyncio.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(one, stop.set)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        url = f"http://{host}:{runner.addresses[0][1]}"
        typer.echo(json.dumps({"url": url, "verifier": verifier}) if json_output else f"{verifier} {url}")
        with suppress(asyncio.CancelledError):
            await stop.wait()
    finally:
        await runner.cleanup()


def _signer(folder: Path) -> Signer:
    content = read_private(folder / KEY_FILE)
    if content is None:
        raise FileNotFoundError(f"there is no {folder / KEY_FILE}: make it with `ztfm witness init --name NAME`")
    return read_signer(content, "cosignature")


def _log(text: str) -> tuple[Verifier, str]:
    # A key ends in base64, which may itself end in an equals sign.
    key, found, url = text.partition("=http")
    return Verifier.parse(key), f"http{url}" if found else ""


def _fail(command: str, message: str) -> NoReturn:
    typer.echo(f"ztfm witness {command}: {message}", err=True)
    raise typer.Exit(1)
