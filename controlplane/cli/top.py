"""``ztfm top``: what a control plane does now, and what is wrong, on one screen."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.live import Live

from controlplane.cli.asked import Unanswered
from controlplane.cli.configured import load_settings
from controlplane.cli.sources import Key, Source, StateDir, TokenFile, Url, Where, opened
from controlplane.cli.terminal import is_capable, keys
from controlplane.cli.top_frame import Frame
from controlplane.cli.top_reading import Reader
from controlplane.cli.top_shown import shown
from controlplane.storage.errors import StoreError

END = "q"


def top(
    interval: Annotated[float, typer.Option(min=0.5, max=3600.0, help="Seconds between two readings.")] = 2.0,
    once: Annotated[
        bool, typer.Option("--once", help="Show it once, after one interval, without control codes.")
    ] = False,
    url: Url = None,
    key: Key = None,
    token_file: TokenFile = None,
    state_dir: StateDir = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object for each reading.")] = False,
) -> None:
    """Show decisions, denials, trust, rounds, the engine and what is wrong, again and again, until q or Ctrl-C.

    On the control plane's machine it reads metrics, readiness and the store, with `--key` or `--token-file` the API.
    Where no terminal can be drawn on, each reading is printed below the one before.

    Exits with 0 when it was ended, with 1 when it cannot be looked at; with `--once` also when the control plane does
    not answer or is not ready.

    Example: `ztfm top --interval 5`
    """
    where = Where(load_settings(state_dir=state_dir), url, key, token_file)
    try:
        last = asyncio.run(_watch(where, interval, once, json_output))
    except BrokenPipeError:
        # Whoever read it has gone, which is no fault.
        raise
    except (Unanswered, StoreError, OSError) as error:
        _fail(str(error))
    if once and (last is None or not last.ready):
        raise typer.Exit(1)


async def _watch(where: Where, interval: float, once: bool, json_output: bool) -> Frame | None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A loop that is not in the main thread hears of no signal.
        with suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, stop.set)
    async with opened(where) as source:
        if once:
            return await _once(source, interval, stop, json_output)
        if json_output or not is_capable():
            return await _print_each(source, interval, stop, json_output)
        return await _draw(source, interval, stop)


async def _once(source: Source, interval: float, stop: asyncio.Event, json_output: bool) -> Frame | None:
    last = None
    # A rate needs two readings.
    async for frame in _frames(source, interval, stop, 2):
        last = frame
    if last is not None and not stop.is_set():
        _print(last, json_output)
    return last


async def _print_each(source: Source, interval: float, stop: asyncio.Event, json_output: bool) -> Frame | None:
    last = None
    async for frame in _frames(source, interval, stop):
        if last is not None and not json_output:
            typer.echo("")
        last = frame
        _print(frame, json_output)
    return last


async def _draw(source: Source, interval: float, stop: asyncio.Event) -> Frame | None:
    last = None
    console = Console(highlight=False)

    def heard(pressed: str) -> None:
        if pressed.lower() == END:
            stop.set()

    with Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live, keys(heard):
        live.update(f"asking {source.place}", refresh=True)
        async for frame in _frames(source, interval, stop):
            last = frame
            width, height = console.size
            live.update(shown(frame, width, height, is_watched=True), refresh=True)
    return last


async def _frames(
    source: Source, interval: float, stop: asyncio.Event, most: int | None = None
) -> AsyncIterator[Frame]:
    """Give a frame each interval until it is to stop, or so many were given."""
    reader = Reader(source, time.time, time.monotonic)
    given = 0
    while not stop.is_set():
        begun = time.monotonic()
        frame = await _unless(stop, reader.frame())
        if frame is None:
            return
        yield frame
        given += 1
        if given == most:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(0.0, interval - (time.monotonic() - begun)))


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, Frame]) -> Frame | None:
    """Return a frame; none as soon as it is to stop, whatever is still being read."""
    reading, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((reading, stopping), return_when=asyncio.FIRST_COMPLETED)
        return reading.result() if reading.done() else None
    finally:
        reading.cancel()
        stopping.cancel()
        await asyncio.gather(reading, stopping, return_exceptions=True)


def _print(frame: Frame, json_output: bool) -> None:
    if json_output:
        typer.echo(json.dumps(frame.document()))
        return
    console = Console(color_system=None, highlight=False)
    with console.capture() as captured:
        console.print(shown(frame, console.width))
    typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _fail(message: str) -> NoReturn:
    typer.echo(f"ztfm top: {message}", err=True)
    raise typer.Exit(1) from None
