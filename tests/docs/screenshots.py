"""Pictures for the documents: ``python -m tests.docs.screenshots`` takes them anew, of a federation that is guarded.

Ten devices train by turns, one of which turns its updates round; a consumer asks the model, with and without being let.
"""

import argparse
import asyncio
import io
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from rich.console import Console

from adapters.guard import Guard, Member
from adapters.pytorch import GuardedRound
from controlplane.cli.sources import Where, opened
from controlplane.cli.top_frame import Frame
from controlplane.cli.top_reading import Reader
from controlplane.cli.top_shown import shown
from controlplane.settings import Settings
from examples.flower_app import task
from examples.pytorch_loop import local_update
from tests.support import SEGMENTS, ControlPlane, running

TOP = Path(__file__).resolve().parents[2] / "docs" / "images" / "ztfm-top.svg"
MEMBERS, ROUNDS, COLUMNS, ROWS = 10, 9, 160, 44
_FONTS = re.compile(r"@font-face \{.*?\}", re.DOTALL)


def train(plane: ControlPlane, folder: Path) -> None:
    """Run a guarded federation in which one member attacks."""
    torch.manual_seed(0)
    model = task.new_model()

    def enrol(name: str, role: str) -> Member:
        token = plane.token([role], SEGMENTS[role])
        return Member.enrol(folder / name, plane.url, token, roles=[role], segment=SEGMENTS[role])

    with ExitStack() as stack:
        enrol("aggregator", "aggregator").close()
        members = [stack.enter_context(enrol(f"member-{number}", "trainer")) for number in range(MEMBERS)]
        guard = stack.enter_context(
            Guard.open(folder / "aggregator", audience="aggregator-1", model="smart-home-intents")
        )
        for _ in range(ROUNDS):
            with GuardedRound(guard, model.state_dict(), members) as guarded:
                for member in guarded.allowed():
                    number = members.index(member)
                    update, examples = local_update(number, guarded.state)
                    turned = {name: -3.0 * value for name, value in update.items()} if not number else update
                    guarded.submit(member, turned, examples)
                model.load_state_dict(guarded.aggregate())


@contextmanager
def asking(plane: ControlPlane) -> Iterator[None]:
    """Have a consumer ask the model meanwhile, sometimes for more than policy allows."""
    consumer, stop = plane.enrol("consumer"), threading.Event()

    def ask() -> None:
        many = 0
        while not stop.wait(0.05):
            many += 1
            tokens = {"prompt_tokens": 8 if many % 5 else 100_000, "max_output_tokens": 16}
            consumer.capability("inference", inference=tokens)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


async def look(plane: ControlPlane) -> Frame:
    """Return a frame as ``ztfm top`` makes it, three seconds after its first reading."""
    async with opened(Where(Settings(state_dir=plane.state), plane.url)) as source:
        reader = Reader(source, time.time, time.monotonic)
        await reader.frame()
        await asyncio.sleep(3.0)
        return await reader.frame()


def write(frame: Frame, path: Path) -> None:
    """Write a frame as a picture that fetches nothing from elsewhere."""
    console = Console(record=True, width=COLUMNS, height=ROWS, file=io.StringIO(), force_terminal=True, highlight=False)
    console.print(shown(frame, COLUMNS, ROWS, is_watched=True))
    picture = _FONTS.sub("", console.export_svg(title="ztfm top", unique_id="ztfm-top"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(line.rstrip() for line in picture.splitlines()) + "\n")


def main() -> None:
    """Take every picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=TOP, help="where the picture of `ztfm top` goes")
    out = parser.parse_args().out
    with running() as plane, tempfile.TemporaryDirectory() as folder:
        train(plane, Path(folder))
        with asking(plane):
            write(asyncio.run(look(plane)), out)
    print(out)


if __name__ == "__main__":
    main()
