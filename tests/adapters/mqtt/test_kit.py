"""A few cases of the conformance kit; `ztfm adapter check adapters.mqtt.conformance` runs them all."""

from collections.abc import Iterator

import pytest

from adapters.conformance.cases import named
from adapters.conformance.kit import Kit, opened
from adapters.conformance.worker import Worker
from adapters.mqtt.broker import BrokerMissing
from tests.servers.mosquitto import ensure_broker

pytestmark = pytest.mark.minutes

OF_EACH_KIND = ("impostor", "borrowed-submission", "twin", "revoked-meanwhile")


@pytest.fixture(scope="module")
def kit() -> Iterator[Kit]:
    try:
        ensure_broker()
    except BrokerMissing as missing:
        pytest.skip(str(missing))
    with opened([named(name) for name in OF_EACH_KIND]) as found:
        yield found


@pytest.fixture(scope="module")
def mqtt() -> Iterator[Worker]:
    with Worker("adapters.mqtt.conformance") as found:
        yield found


@pytest.mark.parametrize("name", OF_EACH_KIND)
def test_a_job_over_mqtt_keeps_the_case(kit: Kit, mqtt: Worker, name: str) -> None:
    [result] = kit.check(mqtt, [named(name)])
    assert (result.verdict, result.faults) == ("held", ())
