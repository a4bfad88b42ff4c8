"""Open a job over MQTT from the folders of an enrolled aggregator, and of the gateway that keeps its topics."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from paho.mqtt.client import MQTTMessage

from adapters.client import ControlPlane, SyncControlPlane
from adapters.enrolment import load_identity, load_key
from adapters.jobs.opening import opened_job
from adapters.mqtt.bounds import Bounds
from adapters.mqtt.certified import Certified
from adapters.mqtt.connecting import Address, LinkBounds
from adapters.mqtt.dynamic import DynamicSecurity
from adapters.mqtt.job import Connect, Federation
from adapters.mqtt.keeper import TopicKeeper
from adapters.mqtt.link import Link


@contextmanager
def federation(
    keys: Path,
    state: Path,
    weights: Path,
    *,
    broker: Address,
    keeper: Path | None,
    audience: str,
    model: str,
    members: Sequence[str] | None = None,
    server_authority: Path | None = None,
    bounds: Bounds | None = None,
    **options: Any,
) -> Iterator[Federation]:
    """Open a job as the aggregator that was enrolled in ``keys``. It follows revocations.

    Args:
        keys: the aggregator's key and identity (`python -m adapters.enrol`).
        state: the job's own folder.
        weights: safetensors file that the first round begins with.
        broker: where it listens.
        keeper: folder of the enrolled gateway that gives topics at the broker; none where another process does.
        audience: the name of this enforcement point.
        model: the model's identifier in ``policies/data``.
        members: who is invited, and alone given topics; none for whoever policy allows.
        server_authority: PEM file of the authority that the broker's certificate leads to; none for the control
            plane's.
        bounds: that nothing goes beyond.
        options: ``archive`` and ``segment`` of `opened_job`, and the other arguments of `Federation`.

    Raises:
        FileNotFoundError: nobody was enrolled in a folder.
        KeyFileError: a key or identity cannot be used.
        JobError: the job's folder cannot be used.
        ArchiveError: the archive is damaged, somebody else's, or in use.
        OSError: a file cannot be read or written.
    """
    within = bounds or Bounds()
    aggregator, key = load_identity(keys), load_key(keys)
    with SyncControlPlane(aggregator.url, key) as plane:
        connect = connector(aggregator.id, Certified(key, plane, server_authority), broker, within)
        keeping = None
        if keeper is not None:
            keeping = keeping_from(
                keeper, broker, audience=audience, aggregator=aggregator.id, listed=members, authority=server_authority
            )
        given: dict[str, Any] = {"connect": connect, "keeping": keeping, "bounds": within, **options}
        with opened_job(
            Federation, keys, state, weights, audience=audience, model=model, members=members, **given
        ) as job:
            yield job


def connector(name: str, certified: Certified, broker: Address, bounds: Bounds) -> Connect:
    """Return what makes a job's link to its broker.

    Args:
        name: the aggregator's.
        certified: its certificate.
        broker: where it listens.
        bounds: of the job.
    """

    def connect(on_message: Callable[[MQTTMessage], None]) -> Link:
        limits = LinkBounds(bounds.session_seconds, inflight=bounds.inflight, queued=bounds.queued)
        return Link(broker, name, certified.context, on_message, bounds=limits, is_acknowledged=False)

    return connect


def keeping_from(
    folder: Path,
    broker: Address,
    *,
    audience: str,
    aggregator: str,
    listed: Sequence[str] | None = None,
    authority: Path | None = None,
) -> Callable[[], AbstractAsyncContextManager[TopicKeeper]]:
    """Return what keeps a job's topics as the gateway that was enrolled in a folder, for as long as it is entered.

    Args:
        folder: the gateway's.
        broker: where it listens.
        audience: the enforcement point whose topics are kept.
        aggregator: name of the aggregator that runs the job.
        listed: names of devices that may be given topics; none for all that policy allows.
        authority: PEM file of the authority that the broker's certificate leads to; none for the control plane's.

    Raises:
        FileNotFoundError: nobody was enrolled there.
        KeyFileError: its key or identity cannot be used.
    """
    identity, key = load_identity(folder), load_key(folder)

    @asynccontextmanager
    async def keeping() -> AsyncIterator[TopicKeeper]:
        """Keep them."""
        with SyncControlPlane(identity.url, key) as certifying:
            certified = Certified(key, certifying, authority)
            link = Link(broker, identity.id, certified.context, lambda message: security.arrived(message))
            security = DynamicSecurity(link, identity.id)
            link.start()
            try:
                async with (
                    ControlPlane(identity.url, key) as plane,
                    TopicKeeper(
                        plane,
                        security,
                        audience=audience,
                        aggregator=aggregator,
                        listed=listed,
                        issuer=identity.issuer,
                    ) as keeper,
                ):
                    yield keeper
            finally:
                link.close()

    return keeping
