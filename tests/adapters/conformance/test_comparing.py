"""One federation with the same attackers, on the backends that are installed beside the product."""

from dataclasses import replace

import pytest

from adapters.conformance.comparing import BEHAVIOURS, ROUNDS, Fact, Federation, differences, run
from adapters.mqtt.broker import BrokerMissing
from tests.servers.mosquitto import ensure_broker

pytestmark = pytest.mark.minutes

PYTORCH = "adapters.conformance.backends.pytorch"
OTHERS = ("adapters.flower.conformance", "adapters.http.conformance", "adapters.distributed.conformance")


@pytest.fixture(scope="module")
def pytorch() -> Federation:
    return run(PYTORCH)


def test_honest_clients_are_served_and_attackers_are_set_apart_or_left_out(pytorch: Federation) -> None:
    found = {one.behaviour: one.summary() for one in pytorch.decided}
    assert found.keys() == set(BEHAVIOURS)
    honest = [one.summary()["accepted"] for one in pytorch.decided if one.behaviour == "honest"]
    assert honest == [list(range(1, ROUNDS + 1))] * 5
    assert (found["sign-flip"]["accepted"], found["sign-flip"]["refused"]) == ([], [1, 2])
    assert (found["sleeper"]["accepted"], found["sleeper"]["refused"]) == ([1], [2, 3])
    assert found["sign-flip"]["status"] == found["sleeper"]["status"] == "quarantined"
    assert found["tampered"]["refused"] == [1, 2, 3]
    assert found["replayed-submission"]["refused"] == [2, 3]


@pytest.mark.parametrize("module", OTHERS)
def test_another_backend_decides_the_same(pytorch: Federation, module: str) -> None:
    assert differences(pytorch, run(module)) == []


def test_devices_behind_a_broker_are_decided_about_alike(pytorch: Federation) -> None:
    try:
        ensure_broker()
    except BrokerMissing as missing:
        pytest.skip(str(missing))
    assert differences(pytorch, run("adapters.mqtt.conformance")) == []


def test_an_adapter_that_aggregates_what_the_gate_refused_is_found_out(pytorch: Federation) -> None:
    found = differences(pytorch, run("tests.adapters.conformance.wrong.ignores_the_gate"))
    assert any("of the way beside that of" in said for said in found)


def test_what_one_backend_alone_decided_is_told(pytorch: Federation) -> None:
    first, *others = pytorch.decided
    extra = Fact(1, "model_access", "deny", ("round_member",))
    other = replace(
        pytorch,
        module="other",
        decided=(replace(first, facts=first.facts | {extra}, status="quarantined"), *others),
    )
    assert differences(pytorch, other) == [
        "client 0 (honest): round 2 model_access deny (round_member) with other alone",
        f"client 0 (honest): active with {PYTORCH}, quarantined with other",
    ]
