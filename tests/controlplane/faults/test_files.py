"""Files of the state folder that are damaged: nothing starts with another key unseen, and nothing is overwritten."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controlplane.api.listening import ListenError
from controlplane.capabilities.errors import CapabilityError
from controlplane.parts import StartFailed
from controlplane.storage.errors import StoreError
from tests.controlplane.test_faults import ask
from tests.support import Caller, ControlPlane, running, wait_until

TOLD = (CapabilityError, ListenError, StartFailed, StoreError)
"""What `ztfm serve` ends with one line for."""

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut off": lambda content: content[: len(content) // 3],
    "rubbish": lambda content: bytes(range(128, 256)) * (1 + len(content) // 128),
}


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Path, Caller]]:
    """The state folder of a control plane that has served, and a device that it enrolled."""
    folder = Path(tempfile.mkdtemp(prefix="ztfm-"))
    with running(state=folder) as plane:
        device = plane.enrol("consumer")
        assert ask(device).status == 201
        wait_until(lambda: (folder / "log-head").exists(), what="a signed head")
    yield folder, device
    shutil.rmtree(folder)


@pytest.fixture
def state(served: tuple[Path, Caller]) -> Iterator[Path]:
    """A copy of it."""
    folder = Path(tempfile.mkdtemp(prefix="ztfm-"))
    shutil.copytree(served[0], folder, dirs_exist_ok=True)
    yield folder
    shutil.rmtree(folder)


NAMES = ("sealing.key", "policy-signing.key", "log-signing.key", "authority.pem", "organisation.key", "ztfm.db")
# An empty file is a database that begins: the next test.
CASES = [(name, damage) for name in NAMES for damage in DAMAGES if (name, damage) != ("ztfm.db", "empty")]
SAMPLE = [*zip(NAMES, [*DAMAGES] * 2, strict=True)]
"""Each file with one damage; ``ZTFM_EVERY_FAULT=1`` tries all of them."""


@pytest.mark.parametrize(("name", "damage"), CASES if os.environ.get("ZTFM_EVERY_FAULT") else SAMPLE)
def test_a_damaged_file_ends_the_start_with_its_name_and_stays_as_it_is(state: Path, name: str, damage: str) -> None:
    file = state / name
    left = DAMAGES[damage](file.read_bytes())
    file.write_bytes(left)
    for side in ("ztfm.db-wal", "ztfm.db-shm"):
        (state / side).unlink(missing_ok=True)
    with pytest.raises(TOLD) as told, running(state=state):
        pass
    assert str(file) in str(told.value)
    assert file.read_bytes() == left


def test_an_emptied_database_knows_nobody_of_before_and_is_told_of(state: Path, served: tuple[Path, Caller]) -> None:
    (state / "ztfm.db").write_bytes(b"")
    with running(state=state) as plane:
        known = Caller(plane, served[1].key, served[1].id)
        assert ask(known).status == 401
        wait_until(lambda: plane.metric("ztfm_log_rewritten_total") > 0, what="what ZtfmLogRewritten looks at")


def test_what_opa_kept_is_not_believed_at_the_next_start(state: Path, served: tuple[Path, Caller]) -> None:
    kept = next((state / "opa" / "kept").rglob("*.tar.gz"))
    kept.write_bytes(kept.read_bytes()[:100])
    with running(state=state) as plane:
        assert ask(Caller(plane, served[1].key, served[1].id)).status == 201


def test_keys_that_are_damaged_while_it_serves_change_nothing_until_the_next_start(
    state: Path, served: tuple[Path, Caller]
) -> None:
    with running(state=state) as plane:
        known = Caller(plane, served[1].key, served[1].id)
        for name in ("policy-signing.key", "authority.pem", "organisation.key", "log-signing.key"):
            (state / name).write_bytes(b"")
        assert ask(known).status == 201
        assert known.post("/v1/certificates", {}).status in (201, 503)
        (state / "sealing.key").write_bytes(b"")
        wait_until(lambda: not _is_ready(plane), what="a red /readyz")
        assert ask(known).status == 201


def _is_ready(plane: ControlPlane) -> bool:
    return plane.call("GET", "/readyz").status == 200
