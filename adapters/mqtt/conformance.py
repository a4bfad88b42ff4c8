"""MQTT for the conformance kit: ``ztfm adapter check adapters.mqtt.conformance``. Each client is a process.

The broker is a Mosquitto of the kit's own, with topics that a keeper has from policy. Everybody who is listed is
invited; whom the broker gives no topics, or the control plane no certificate, is absent.
"""

import asyncio
import logging
import multiprocessing
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from adapters.client import SyncControlPlane
from adapters.conformance import Ended, Job, Pace, Scripted, report_of
from adapters.conformance.ports import free_port
from adapters.enrolment import load_identity, load_key
from adapters.jobs.keeping import JobFolder
from adapters.jobs.reception import Reception
from adapters.mqtt.bounds import MEBIBYTE, Bounds
from adapters.mqtt.certified import Certified
from adapters.mqtt.client import Announced, MqttMember
from adapters.mqtt.connecting import Address
from adapters.mqtt.job import Federation
from adapters.mqtt.lab import lab_broker
from adapters.mqtt.opening import connector, keeping_from

PACE = Pace(training_seconds=6.0, patience_seconds=15.0, round_seconds=60.0, job_seconds=180.0)
"""A round is as long as somebody may train: whoever sends nothing has the others wait for its end."""

NOT_APPLICABLE: dict[str, str] = {}

_GATHER_SECONDS = 3.0
_PAYLOAD_BYTES = 4 * MEBIBYTE

_log = logging.getLogger("ztfm.mqtt")


class _Hostile(MqttMember):
    """Sends whatever its member shows, as far as a user property can carry it."""

    def carried(self, fields: dict[str, str]) -> dict[str, str]:
        """As `MqttMember.carried`; what no user property can carry is replaced."""
        return {name: "".join(one if " " <= one <= "~" else "?" for one in text) for name, text in fields.items()}


def federation(job: Job) -> Ended:
    """Run a job at a broker on this machine, with clients that are processes which speak MQTT to it."""
    bounds = Bounds(
        least_members=job.least,
        most_members=len(job.clients),
        gather_seconds=_GATHER_SECONDS,
        round_seconds=job.pace.training_seconds,
        linger_seconds=0.2,
        payload_bytes=_PAYLOAD_BYTES,
    )
    folder = job.folder / "mqtt"
    folder.mkdir()
    weights = folder / "initial.safetensors"
    save_file(job.initial, weights)
    identity, key = load_identity(job.aggregator), load_key(job.aggregator)
    members = [load_identity(place).id for place in job.clients]
    clients: list[BaseProcess] = []
    with (
        job.guard() as guard,
        SyncControlPlane(identity.url, key) as plane,
        lab_broker(
            load_identity(job.gateway).id, plane.certificate().authority, free_port(), payload_bytes=_PAYLOAD_BYTES
        ) as broker,
        JobFolder(folder / "job", job.model, weights) as kept,
    ):
        address, authority = broker.address, broker.authority
        run = Federation(
            guard,
            Reception(identity.issuer, job.audience),
            kept,
            rounds=job.rounds,
            members=members,
            bounds=bounds,
            connect=connector(identity.id, Certified(key, plane, authority), address, bounds),
            keeping=keeping_from(
                job.gateway, address, audience=job.audience, aggregator=identity.id, listed=members, authority=authority
            ),
            on_listening=lambda: clients.extend(_started(job, address, authority, folder)),
            on_progress=_log.info,
        )
        try:
            ended = asyncio.run(run.run())
        finally:
            for client in clients:
                client.kill()
                client.join()
        return Ended(ended.state, ended.finished, report_of(guard))


def _started(job: Job, address: Address, authority: Path, folder: Path) -> list[BaseProcess]:
    # Forked from a process that has imported all this: six that each import torch would take half a minute.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    clients: list[BaseProcess] = [
        context.Process(
            target=_take_part, args=(place, address, job.audience, authority, folder / f"client-{number}"), daemon=True
        )
        for number, place in enumerate(job.clients)
    ]
    for client in clients:
        client.start()
    return clients


def _take_part(place: Path, address: Address, audience: str, authority: Path, folder: Path) -> None:
    try:
        with (
            Scripted.open(place) as member,
            _Hostile.open(member, address, server_authority=authority, audience=audience) as client,
        ):

            def train(weights: Path, update: Path, _now: Announced) -> int:
                received: Mapping[str, Tensor] = load_file(weights)
                trained = member.train(received)
                save_file({name: value for name, value in trained.update.items() if isinstance(value, Tensor)}, update)
                return trained.examples

            client.take_part(train, folder)
    except Exception as error:  # noqa: BLE001 - a client's own process ends with it, and nothing else does
        _log.info("a client ended: %s: %s", type(error).__name__, error)
