"""What a real SuperNode makes of the proxy's answers: it goes on after 403, and stops at 401."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web
from flwr.app import ConfigRecord, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from adapters.flower.proxy import beside, opened
from adapters.member import Member
from tests.adapters.flower.fleet import Link, Loop, superlink, weights
from tests.adapters.flower.processes import processes
from tests.servers.ports import free_port
from tests.support import DIGEST, MODEL, ControlPlane, wait_until


class Interposed:
    """Between a SuperNode and its sidecar: hands everything on, and refuses a push when it is told to.

    It stands for a proxy that refuses a push, which the real one does only to who is up to something.
    """

    def __init__(self) -> None:
        self.refuse_pushes = False
        self.refused = 0

    @asynccontextmanager
    async def open(self, sidecar: str) -> AsyncIterator[str]:
        async with aiohttp.ClientSession(auto_decompress=False) as session:

            async def answer(request: web.Request) -> web.Response:
                if self.refuse_pushes and request.path.endswith("/push-messages"):
                    self.refused += 1
                    return web.Response(status=403)
                headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
                async with session.post(sidecar + request.path, data=await request.read(), headers=headers) as answered:
                    kind = answered.headers.get("Content-Type", "application/json")
                    return web.Response(
                        status=answered.status, body=await answered.read(), headers={"Content-Type": kind}
                    )

            app = web.Application(client_max_size=2**26)
            app.router.add_post("/{path:.*}", answer)
            runner = web.AppRunner(app)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            yield f"127.0.0.1:{runner.addresses[0][1]}"
            await runner.cleanup()


@pytest.fixture
def link(identity: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Link]:
    """A SuperLink with a run under way."""
    with superlink() as found:
        monkeypatch.setattr(TaskIdentity, "_run_id", found.run_id)
        yield found


@pytest.fixture
def loop() -> Iterator[Loop]:
    """Where proxy and sidecar run."""
    found = Loop()
    yield found
    found.close()


@pytest.mark.timeout(170)
def test_a_supernode_survives_403_and_stops_at_401(plane: ControlPlane, link: Link, loop: Loop, tmp_path: Path) -> None:
    for name, role, segment in (("gateway", "gateway", "core"), ("device", "trainer", "homes")):
        Member.enrol(tmp_path / name, plane.url, plane.token([role], segment), roles=[role], segment=segment).close()
    with Member.open(tmp_path / "device") as member:
        device = member.id
    proxy = loop.enter(opened(tmp_path / "gateway", link.url, [MODEL]))
    between = Interposed()
    address = loop.enter(between.open(loop.enter(beside(tmp_path / "device", proxy.public_url))))
    assert urlsplit(f"//{address}").port
    # It trusts no app, so that it replies to every message at once, with an error and without a client app.
    (tmp_path / "trusted.yaml").write_text(
        "{nobody: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG1lEm2aFZpLJlzKTHjMpj5qSkLQ1xLX6B1k4qDi9tYz}"
    )
    administrator = plane.enrol("administrator")

    def becomes(status: str) -> None:
        administrator.post(f"/v1/devices/{device}/status", {"status": status, "reason": "Test."}).expect(200)

    def answers() -> bool:
        (node_id,) = link.state.get_nodes(link.run_id)
        sent = link.send(node_id, RecordDict({"question": ConfigRecord({"number": len(asked)})}))
        asked.append(sent)
        wait_until(lambda: bool(link.replies(sent)), 60.0, supernode_log())
        return True

    asked: list[object] = []
    with processes(tmp_path) as started:
        supernode = started.start(
            "supernode",
            "flower-supernode",
            *("--insecure", "--superlink", address, "--isolation", "process", "--port", str(free_port())),
            *("--trusted-entities", str(tmp_path / "trusted.yaml")),
        )

        def supernode_log() -> str:
            return started.log("supernode")

        wait_until(lambda: len(link.state.get_nodes(link.run_id)) == 1, 90.0, "the node is there")
        assert answers()
        between.refuse_pushes = True
        (node_id,) = link.state.get_nodes(link.run_id)
        link.send(node_id, RecordDict({"question": ConfigRecord({"refused": True})}))
        wait_until(lambda: between.refused == 1, 60.0, supernode_log())
        between.refuse_pushes = False
        assert answers()
        becomes("quarantined")
        wait_until(lambda: proxy.report.outcome("pull-messages", "no_member") >= 2, 60.0)
        becomes("active")
        assert answers()
        becomes("revoked")
        assert supernode.wait(60) is not None
        assert proxy.report.outcome("pull-messages", "revoked") >= 1
        # It could still say that it is gone, so that no strategy goes on waiting for it.
        wait_until(lambda: not link.state.get_nodes(link.run_id), 5.0)


@pytest.mark.timeout(170)
def test_a_supernode_that_gets_no_weights_goes_on(plane: ControlPlane, link: Link, loop: Loop, tmp_path: Path) -> None:
    for name, role, segment in (("gateway", "gateway", "core"), ("device", "consumer", "homes")):
        Member.enrol(tmp_path / name, plane.url, plane.token([role], segment), roles=[role], segment=segment).close()
    aggregator = plane.enrol("aggregator")
    aggregator.open_round("fleet-late", [plane.enrol("trainer")])
    stated = {"round_id": "fleet-late", "model": MODEL, "model_digest": DIGEST, "audience": "a", "stage": "train"}
    proxy = loop.enter(opened(tmp_path / "gateway", link.url, [MODEL]))
    address = loop.enter(beside(tmp_path / "device", proxy.public_url)).removeprefix("http://")
    with processes(tmp_path) as started:
        started.start(
            "supernode",
            "flower-supernode",
            *("--insecure", "--superlink", address, "--isolation", "process", "--port", str(free_port())),
        )
        wait_until(lambda: len(link.state.get_nodes(link.run_id)) == 1, 90.0, "the node is there")
        (node_id,) = link.state.get_nodes(link.run_id)
        for number in (1, 2):
            # Its objects come late: before that nobody can know which round the message is of.
            more = {"ztfm": ConfigRecord(stated), "number": ConfigRecord({"is": number})}
            before = proxy.report.outcome("pull-object", "passed")
            sent = link.send(node_id, weights(more), with_objects=False)
            wait_until(lambda before=before: proxy.report.outcome("pull-object", "passed") > before, 60.0)
            sent.objects_come()
            wait_until(
                lambda number=number: started.log("supernode").count("Failed to receive message") == number,
                60.0,
                started.log("supernode"),
            )
    assert proxy.report.outcome("pull-object", "no_capability") >= 2
    assert proxy.report.to_dict()["weights_bytes"] == {}
