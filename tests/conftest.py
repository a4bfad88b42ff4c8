"""What all tests share, and how their files run side by side."""

import gc
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

from controlplane.storage import migrating
from tests.schema import copies
from tests.support import ControlPlane, running

if "PYTEST_XDIST_WORKER" in os.environ:
    # Each worker has a core; threads of torch's would only take turns on it. Before anything imports torch.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Each worker reads every test file, and tests start hundreds of processes: what one compiled, none compiles again.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Looking for cycles every 700 allocations took a third of the collecting of tests. What is there then stays anyway.
gc.set_threshold(50_000, 20, 50)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # So a shell starts what it runs in the background; the commands that tests interrupt would never hear of it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says more of what else the machine does than of the example.
settings.register_profile("unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("unhurried"), max_examples=2000)
settings.load_profile("unhurried")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file's tests stay with one worker and in their order: servers and fixtures of a module start once."""
    from xdist.scheduler import LoadFileScheduling

    config.option.loadscopereorder = False
    return LoadFileScheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the files that take minutes, where files run side by side: at the end one worker would be idle."""
    if hasattr(config, "workerinput"):
        first = {item.path for item in items if item.get_closest_marker("minutes")}
        items.sort(key=lambda item: item.path not in first)


def pytest_collection_finish() -> None:
    """Look for cycles only among what tests leave behind."""
    gc.freeze()


@pytest.fixture(autouse=True)
def own_logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Commands that run within this process set up the log; what they set, and whom they gave it to, ends with them."""
    kept = structlog.get_config()
    configure = structlog.configure

    def _for_now(**given: Any) -> None:
        configure(**{**given, "cache_logger_on_first_use": False})

    monkeypatch.setattr(structlog, "configure", _for_now)
    yield
    configure(**kept)


@pytest.fixture(scope="session", autouse=True)
def new_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """New SQLite files have the schema in them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrating, "create_file", copies(tmp_path_factory.mktemp("schema")))
        yield


@pytest.fixture(scope="session")
def plane() -> Iterator[ControlPlane]:
    """A control plane for the whole session; callers are not slowed down by rate limits."""
    with running() as found:
        yield found


_DEEP = sys.getrecursionlimit()


def pytest_runtest_setup() -> None:
    # py-evm, which some tests bring in, lifts it for the whole process: what is refused for its depth would differ.
    sys.setrecursionlimit(_DEEP)
