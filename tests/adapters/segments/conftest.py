"""The plant, and what holds its router to rules."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.segments.enforcing import Enforcement
from adapters.segments.errors import NftablesMissing
from adapters.segments.libnftables import find_nftables
from controlplane.contracts.segmentation import GrantTable
from controlplane.segmentation.flows import rules_of
from tests.adapters.segments import plant as plants
from tests.adapters.segments.plant import Plant
from tests.servers.namespaces import NoNamespaces
from tests.support import ControlPlane, running


@pytest.fixture(scope="module")
def plant() -> Iterator[Plant]:
    """The plant, for the tests of a file."""
    try:
        with plants.plant() as built:
            yield built
    except NoNamespaces as missing:
        pytest.skip(str(missing))


@pytest.fixture
def enforcement(plant: Plant) -> Iterator[Enforcement]:
    """The router's rules: at first nothing passes, and afterwards there are none."""
    try:
        enforced = Enforcement(find_nftables())
    except NftablesMissing as missing:
        pytest.skip(str(missing))
    plant.router.call(enforced.close)
    yield enforced
    plant.router.run("nft", "flush", "ruleset")


@pytest.fixture
def put(plant: Plant, enforcement: Enforcement) -> Callable[[GrantTable], None]:
    """Puts a table in force."""

    def _put(table: GrantTable) -> None:
        plant.router.call(enforcement.apply, rules_of(table, enforcement._clock()))

    return _put


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="ztfm-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def own(plant: Plant, folder: Path) -> Iterator[ControlPlane]:
    """A control plane that the router reaches through a socket, since it has a network of its own."""
    assert plant.hosts
    with running(listen_socket=folder / "api.sock") as found:
        yield found
