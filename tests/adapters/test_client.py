"""The SDK against a real control plane with real OPA."""

import asyncio
import inspect
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest
from aiohttp import web

from adapters.client import ControlPlane, SyncControlPlane
from adapters.errors import Conflict, Denied, Invalid, NotFound, TooMany, Unauthenticated, Unavailable
from adapters.member import Member
from controlplane.api.services import EdgeLimits
from controlplane.contracts.access import AccessRequest, Action, InferenceSize, RequestContext, Resource, Subject
from controlplane.contracts.capability import CapabilityContext
from controlplane.contracts.rounds import RoundRequest, UpdateReport
from controlplane.jose.keys import DeviceKey
from tests.support import DIGEST, MODEL, running
from tests.support import ControlPlane as RunningPlane

Enrol = Callable[..., Member]
MODEL_RESOURCE = Resource(type="model", id=MODEL)


def round_request(name: str, *members: str) -> RoundRequest:
    return RoundRequest(id=name, model=MODEL, model_digest=DIGEST, members=list(members), duration_seconds=60.0)


def inference(subject: str) -> AccessRequest:
    size = InferenceSize(prompt_tokens=10, max_output_tokens=10)
    return AccessRequest(
        subject=Subject(type="device", id=subject),
        action=Action(name="inference"),
        resource=MODEL_RESOURCE,
        context=RequestContext(inference=size),
    )


async def test_a_device_enrols_and_asks_for_a_capability(plane: RunningPlane) -> None:
    key = DeviceKey.generate()
    async with ControlPlane(plane.url, key) as client:
        enrolled = await client.enrol(plane.token(["consumer"], "homes"), ["consumer"], "homes")
        context = CapabilityContext(inference=InferenceSize(prompt_tokens=8, max_output_tokens=8))
        grant = await client.capability("inference", MODEL_RESOURCE, "gateway-1", context)
    capability = grant.require()
    assert (grant.allowed, grant.reasons, grant.id) == (True, (), capability.decision_id)
    assert enrolled.key_thumbprint == key.thumbprint
    assert capability.token_type == "DPoP"
    assert capability.expires_in > 0


def test_a_denial_says_what_was_missing_and_where_it_is_recorded(enrol: Enrol) -> None:
    trainer, operator = enrol("trainer"), enrol("operator")
    grant = trainer.plane.capability("inference", MODEL_RESOURCE, "gateway-1")
    assert (grant.allowed, grant.capability) == (False, None)
    [missing] = [reason for reason in grant.reasons if reason.code == "role_granted"]
    assert missing.message
    assert missing.remedy
    with pytest.raises(Denied) as caught:
        grant.require()
    assert (caught.value.reasons, caught.value.decision_id) == (grant.reasons, grant.id)
    record = operator.plane.decision(grant.id)
    assert (record.subject, record.outcome) == (trainer.id, "deny")


def test_a_key_that_nobody_enrolled_is_unauthenticated(plane: RunningPlane) -> None:
    with SyncControlPlane(plane.url, DeviceKey.generate()) as client, pytest.raises(Unauthenticated) as caught:
        client.capability("inference", MODEL_RESOURCE, "gateway-1")
    assert caught.value.status == 401


def test_a_clock_that_is_wrong_is_unauthenticated(plane: RunningPlane, enrol: Enrol) -> None:
    key = enrol("trainer").key
    with SyncControlPlane(plane.url, key, clock=lambda: time.time() - 3600) as client, pytest.raises(Unauthenticated):
        client.capability("inference", MODEL_RESOURCE, "gateway-1")


def test_a_token_works_once(plane: RunningPlane) -> None:
    token = plane.token(["trainer"], "homes")
    with SyncControlPlane(plane.url, DeviceKey.generate()) as first:
        first.enrol(token, ["trainer"], "homes")
    with SyncControlPlane(plane.url, DeviceKey.generate()) as second, pytest.raises((Denied, Conflict)):
        second.enrol(token, ["trainer"], "homes")


def test_a_request_that_does_not_fit_names_the_field(plane: RunningPlane, enrol: Enrol) -> None:
    aggregator = enrol("aggregator")
    unfit = round_request("fits", "dev-a").model_copy(update={"duration_seconds": -1.0})
    with pytest.raises(Invalid) as caught:
        aggregator.plane.open_round(unfit)
    assert "/duration_seconds" in {field.pointer for field in caught.value.errors}


def test_a_round_is_opened_once_and_reported_to(plane: RunningPlane, enrol: Enrol) -> None:
    aggregator, trainer = enrol("aggregator"), enrol("trainer")
    name = f"client-{trainer.id[-8:]}"
    assert aggregator.plane.open_round(round_request(name, trainer.id)).state == "open"
    with pytest.raises(Conflict):
        aggregator.plane.open_round(round_request(name, trainer.id))
    report = {"subject": trainer.id, "capability": None, "verification": {"verified": False, "cause": "expired"}}
    verdicts = aggregator.plane.report_updates(name, [UpdateReport.model_validate(report)]).verdicts
    assert [(verdict.subject, verdict.decision) for verdict in verdicts] == [(trainer.id, False)]


def test_a_round_that_nobody_opened_is_not_found(enrol: Enrol) -> None:
    report = UpdateReport.model_validate(
        {"subject": "dev-x", "capability": None, "verification": {"verified": False, "cause": "expired"}}
    )
    with pytest.raises((NotFound, Denied)):
        enrol("aggregator").plane.report_updates("never/opened@all", [report])


def test_evaluations_are_answers_in_their_order(enrol: Enrol) -> None:
    gateway, consumer, trainer = enrol("gateway"), enrol("consumer"), enrol("trainer")
    assert gateway.plane.evaluate(inference(consumer.id)).require().obligations.max_output_tokens == 10
    many = gateway.plane.evaluate_many([inference(trainer.id), inference(consumer.id), inference("dev-nobody")])
    assert [answer.allowed for answer in many] == [False, True, False]


def test_readiness_and_keys_need_no_enrolment(plane: RunningPlane) -> None:
    with SyncControlPlane(plane.url, DeviceKey.generate()) as client:
        readiness = client.readiness()
        assert readiness.ready
        assert readiness.policy_revision
        assert client.jwks()["keys"][0]["alg"] == "ES256"


def test_too_many_requests_say_how_long_to_wait() -> None:
    limits = EdgeLimits(rate=1.0, burst=1.0, stranger_rate=1.0, stranger_burst=2.0)
    with running(limits=limits) as plane, SyncControlPlane(plane.url, DeviceKey.generate()) as client:
        for _ in range(2):
            with pytest.raises(Unauthenticated):
                client.decision("dec-" + "0" * 32)
        with pytest.raises(TooMany) as caught:
            client.decision("dec-" + "0" * 32)
    assert caught.value.retry_after >= 1.0


def test_both_faces_have_the_same_methods_with_the_same_arguments() -> None:
    def face(kind: type) -> dict[str, str]:
        found = inspect.getmembers(kind, inspect.isfunction)
        return {name: str(inspect.signature(method)) for name, method in found if not name.startswith("_")}

    streams = {"events"}
    expected = {name: signature for name, signature in face(ControlPlane).items() if name not in streams}
    assert face(SyncControlPlane) == expected
    for name in expected.keys() - {"close"}:
        assert getattr(SyncControlPlane, name).__doc__ == getattr(ControlPlane, name).__doc__


def test_many_threads_may_share_the_sync_face(enrol: Enrol) -> None:
    gateway, consumer = enrol("gateway"), enrol("consumer")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(gateway.plane.evaluate, [inference(consumer.id)] * 32))
    assert all(answer.allowed for answer in answers)


def test_a_closed_sync_face_leaves_no_thread(plane: RunningPlane) -> None:
    before = set(threading.enumerate())
    client = SyncControlPlane(plane.url, DeviceKey.generate())
    client.readiness()
    assert len(set(threading.enumerate()) - before) == 1
    client.close()
    client.close()
    assert set(threading.enumerate()) <= before


def test_closing_the_sync_face_ends_calls_that_are_under_way() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(1) as pool:
        client = SyncControlPlane(f"http://127.0.0.1:{silent.getsockname()[1]}", DeviceKey.generate())
        waiting = pool.submit(client.readiness)
        with silent.accept()[0]:
            client.close()
            assert isinstance(waiting.exception(timeout=5), CancelledError)


def test_importing_the_client_needs_neither_torch_nor_flower() -> None:
    check = (
        "import sys, adapters.client, adapters.member; sys.exit(bool({'torch', 'flwr', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


async def test_nobody_listening_is_unavailable_and_untouched() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with ControlPlane(url, DeviceKey.generate()) as client:
        with pytest.raises(Unavailable) as caught:
            await client.decision("dec-1")
    assert caught.value.is_untouched


async def answering(respond: Callable[[web.Request], web.StreamResponse]) -> tuple[web.AppRunner, str]:
    async def answer(request: web.Request) -> web.StreamResponse:
        return respond(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


@pytest.mark.parametrize(
    "respond",
    [
        lambda _: web.Response(text="not json"),
        lambda _: web.Response(text="[]"),
        lambda _: web.Response(text='{"id": 1}'),
        lambda _: web.Response(body=b"\0" * (9 * 1024 * 1024)),
        lambda _: web.Response(status=302, headers={"Location": "http://127.0.0.1:9/"}),
        lambda _: web.Response(status=500, text="oops"),
    ],
    ids=["no JSON", "a list", "another document", "endless", "redirect", "fault"],
)
async def test_an_answer_that_cannot_be_used_is_unavailable(
    respond: Callable[[web.Request], web.StreamResponse],
) -> None:
    runner, url = await answering(respond)
    try:
        async with ControlPlane(url, DeviceKey.generate()) as client:
            with pytest.raises(Unavailable) as caught:
                await client.decision("dec-1")
            assert not caught.value.is_untouched
    finally:
        await runner.cleanup()


async def test_a_server_that_never_answers_is_given_up_once_and_not_asked_again() -> None:
    asked = 0
    given_up = asyncio.Event()

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.read()
        writer.close()
        await writer.wait_closed()
        given_up.set()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with ControlPlane(url, DeviceKey.generate(), timeout_seconds=0.3) as client:
        started = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            await client.decision("dec-1")
    await given_up.wait()
    server.close()
    await server.wait_closed()
    assert time.monotonic() - started < 2.0
    assert (asked, caught.value.is_untouched) == (1, False)
