import asyncio
from collections.abc import Iterator

import pytest

from tests.controlplane.replicas.cluster import Cluster, cluster
from tests.controlplane.storage.conftest import new_database
from tests.servers.debian import NotInstalled
from tests.servers.haproxy import ensure_haproxy
from tests.servers.postgres import PostgresMissing, PostgresServer, running_server


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    try:
        with running_server() as found:
            yield found
    except PostgresMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def both(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two replicas behind HAProxy."""
    try:
        ensure_haproxy()
    except NotInstalled as missing:
        pytest.skip(str(missing))
    with cluster(server, asyncio.run(new_database(server)), tmp_path_factory.mktemp("r")) as found:
        yield found
