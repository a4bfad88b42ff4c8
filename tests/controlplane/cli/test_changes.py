"""``ztfm changes``: that something has changed, as another process writes it."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from controlplane.contracts.changes import CHANGES
from controlplane.storage import Store
from tests.controlplane.behaving import device
from tests.controlplane.cli.processes import ZTFM
from tests.controlplane.cli.test_rounds import on_store


def test_it_says_what_kind_changes_until_it_is_ended(state: Path) -> None:
    async def enrol(store: Store) -> None:
        await store.devices.add(device())

    on_store(state, enrol)
    words = [*ZTFM, "changes", "--kind", "devices", "--state-dir", str(state), "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            # It may begin to look after the first of these; one of them it sees.
            for _ in range(100):
                on_store(state, enrol)
                if _readable(running.stdout.fileno()):
                    break
            assert json.loads(running.stdout.readline())["kind"] == "devices"
            running.terminate()
            assert running.wait(30) == 0
        finally:
            running.kill()


def _readable(number: int) -> bool:
    from select import select

    return bool(select([number], [], [], 1.0)[0])


def test_it_ends_after_so_long_and_knows_its_kinds(quick: Callable[..., Result]) -> None:
    done = quick("changes", "--seconds", "0.1")
    assert (done.exit_code, done.stdout) == (0, "")
    unknown = quick("changes", "--kind", "weather")
    assert unknown.exit_code == 2
    assert ", ".join(CHANGES) in unknown.stderr


def test_where_there_is_no_store_it_says_so(quick: Callable[..., Result], tmp_path: Path) -> None:
    done = quick("changes", "--state-dir", str(tmp_path / "nowhere"))
    assert (done.exit_code, "--state-dir" in done.stderr) == (1, True)
