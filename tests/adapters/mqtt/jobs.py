"""A job over MQTT in a thread, members that speak to its broker, and a wire between them that can be cut."""

import asyncio
import select
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from adapters.client import SyncControlPlane
from adapters.enrolment import load_identity, load_key
from adapters.errors import ControlPlaneError
from adapters.guard import Guard, Member
from adapters.jobs.keeping import JobFolder
from adapters.jobs.reception import Reception
from adapters.jobs.running import Ended
from adapters.mqtt.bounds import MEBIBYTE, Bounds
from adapters.mqtt.certified import Certified
from adapters.mqtt.client import MqttMember
from adapters.mqtt.connecting import Address, LinkBounds
from adapters.mqtt.job import Federation
from adapters.mqtt.lab import LabBroker
from adapters.mqtt.link import Link
from adapters.mqtt.opening import connector, keeping_from
from tests.adapters.conftest import AUDIENCE
from tests.adapters.http.jobs import honest
from tests.support import MODEL, ControlPlane

QUICK = Bounds(
    least_members=5,
    gather_seconds=0.0,
    round_seconds=40.0,
    renew_seconds=5.0,
    linger_seconds=0.3,
    payload_bytes=MEBIBYTE,
)


@dataclass(frozen=True)
class Kept:
    """A broker, and who keeps its topics.

    Attributes:
        broker: runs.
        keeper: folder of the enrolled gateway.
    """

    broker: LabBroker
    keeper: Path

    def member(self, member: Member, address: Address | None = None) -> MqttMember:
        """Return a client of the broker, not started yet."""
        return MqttMember.open(
            member,
            address or self.broker.address,
            server_authority=self.broker.authority,
            audience=AUDIENCE,
            bounds=LinkBounds(contested_seconds=4.0),
        )

    @contextmanager
    def link(self, member: Member, on_message: Callable[[Any], None] = lambda _message: None) -> Iterator[Link]:
        """Connect to the broker and do nothing else."""
        certified = Certified(member.key, member.plane, self.broker.authority)
        link = Link(self.broker.address, member.id, certified.context, on_message)
        link.start()
        try:
            assert link.wait(lambda: link.is_connected, 10), link.last_words
            yield link
        finally:
            link.close()

    def keeping(self, aggregator: str, listed: list[str] | None = None) -> Any:
        """Return what keeps topics, to be entered on an event loop."""
        return keeping_from(
            self.keeper,
            self.broker.address,
            audience=AUDIENCE,
            aggregator=aggregator,
            listed=listed,
            authority=self.broker.authority,
        )


@dataclass
class RunningJob:
    """A job that runs."""

    ended: Ended | None = None
    fault: BaseException | None = None
    lines: list[str] = field(default_factory=list)
    job: Federation | None = None
    loop: asyncio.AbstractEventLoop | None = None
    thread: threading.Thread | None = None

    @property
    def counts(self) -> Counter[str]:
        assert self.job is not None
        return Counter(self.job.counts)

    def result(self, seconds: float = 60.0) -> Ended:
        """Wait for the end and return it."""
        assert self.thread is not None
        self.thread.join(seconds)
        if self.fault is not None:
            raise self.fault
        assert self.ended is not None, self.lines
        return self.ended

    def stop(self) -> None:
        """End the job."""
        if self.loop is not None and self.job is not None and self.loop.is_running():
            self.loop.call_soon_threadsafe(self.job.stop)


@contextmanager
def running_job(
    plane: ControlPlane,
    kept: Kept,
    folder: Path,
    state: dict[str, Tensor],
    members: list[Member] | None,
    *,
    rounds: int = 1,
    bounds: Bounds = QUICK,
    **options: Any,
) -> Iterator[RunningJob]:
    """Run a job from ``state`` at the broker, for these members, and end it."""
    folder.mkdir(exist_ok=True)
    keys, weights = folder / "aggregator", folder / "initial.safetensors"
    if not keys.exists():
        token = plane.token(["aggregator"], "core")
        Member.enrol(keys, plane.url, token, roles=["aggregator"], segment="core").close()
        save_file(state, weights)
    identity, key = load_identity(keys), load_key(keys)
    listed = None if members is None else [member.id for member in members]
    running, ready = RunningJob(), threading.Event()

    def listening() -> None:
        running.loop = asyncio.get_running_loop()
        ready.set()

    def work() -> None:
        try:
            with (
                SyncControlPlane(identity.url, key) as certifying,
                Guard.open(keys, audience=AUDIENCE, model=MODEL, patience_seconds=0.5) as guard,
                JobFolder(folder / "job", MODEL, weights) as held,
            ):
                certified = Certified(key, certifying, kept.broker.authority)
                running.job = Federation(
                    guard,
                    Reception(plane.url, AUDIENCE),
                    held,
                    rounds=rounds,
                    members=listed,
                    bounds=bounds,
                    connect=connector(identity.id, certified, kept.broker.address, bounds),
                    keeping=kept.keeping(identity.id, listed),
                    on_listening=listening,
                    on_progress=running.lines.append,
                    **options,
                )
                running.ended = asyncio.run(running.job.run())
        except BaseException as error:  # noqa: BLE001 - raised again where the test waits
            running.fault = error
            ready.set()

    running.thread = threading.Thread(target=work, name="mqtt-job")
    running.thread.start()
    try:
        assert ready.wait(60)
        if running.fault is not None:
            raise running.fault
        yield running
    finally:
        running.stop()
        running.thread.join(30)


@contextmanager
def taking_part(
    clients: list[MqttMember], folder: Path, trains: dict[int, Any] | None = None
) -> Iterator[list[int | Exception]]:
    """Have members take part in threads of their own until the job ends; the list has how many updates each sent."""
    sent: list[int | Exception] = [-1] * len(clients)

    def work(number: int, client: MqttMember) -> None:
        try:
            with client:
                sent[number] = client.take_part((trains or {}).get(number) or honest(number), folder / f"m-{number}")
        except ControlPlaneError as error:
            sent[number] = error

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(clients)]
    for thread in threads:
        thread.start()
    try:
        yield sent
    finally:
        for thread in threads:
            thread.join(60)


class Wire:
    """Carries bytes between a device and the broker, until it is told not to.

    Attributes:
        is_open: connections are taken, and carried.
        answers: what the broker sends is passed on; else it is lost.
    """

    def __init__(self, broker: Address) -> None:
        self.is_open = True
        self.answers = True
        self._broker = broker
        self._server = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.address = Address("127.0.0.1", self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End all connections."""
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()

    def close(self) -> None:
        self._server.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._server.accept()
                if not self.is_open:
                    near.close()
                    continue
                far = socket.create_connection((self._broker.host, self._broker.port))
                self._sockets += [near, far]
                threading.Thread(target=self._carry, args=(near, far), daemon=True).start()

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        with near, far, suppress(OSError, ValueError):
            while True:
                for one in select.select([near, far], [], [])[0]:
                    data = one.recv(65_536)
                    if not data:
                        return
                    if one is near:
                        far.sendall(data)
                    elif self.answers:
                        near.sendall(data)
