"""What can devices reach? Answered from the rules that the table compiles to, as a router's kernel would."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from controlplane.contracts.attachments import MAX_REACHES, DeviceReach, ReachFound
from controlplane.contracts.segmentation import Attachment, GrantTable, Protocol
from controlplane.segmentation import nftables, rulesets
from controlplane.segmentation.flows import Flow, family_of, rules_of
from controlplane.segmentation.reachability import reach


@dataclass(frozen=True)
class ReachQuestion:
    """What is asked; each that is given narrows.

    Attributes:
        device: by name.
        source: the address that connections would come from, whoever has it.
        site: at which devices stand.
        line: of the site.
        device_class: what they are.
        service: by name.
        destination: the address that connections would go to, whatever listens there.
        port: of the destination.
        protocol: of the port.
    """

    device: str | None = None
    source: str | None = None
    site: str | None = None
    line: str | None = None
    device_class: str | None = None
    service: str | None = None
    destination: str | None = None
    port: int | None = None
    protocol: Protocol = "tcp"


async def reaching(question: ReachQuestion, table: GrantTable, places: Sequence[Attachment], now: float) -> ReachFound:
    """Return the answers of a table that was made at ``now`` (Unix seconds).

    Args:
        question: what is asked.
        table: whole.
        places: where devices are.
        now: when.

    Raises:
        ValueError: an address is none.
        TooManyFlows: the table stands for more flows than can be compiled.
    """
    return await asyncio.to_thread(_found, question, table, places, now)


def _found(question: ReachQuestion, table: GrantTable, places: Sequence[Attachment], now: float) -> ReachFound:
    ruleset = rulesets.parse(nftables.installing(rules_of(table, now), now))
    asked = list(islice(_asked(question, table, places), MAX_REACHES + 1))
    reaches = [
        DeviceReach(device=device, service=service, reach=reach(ruleset, flow, now, table))
        for device, service, flow in asked[:MAX_REACHES]
    ]
    return ReachFound(revision=table.revision, reaches=reaches, complete=len(asked) <= MAX_REACHES)


def _asked(
    question: ReachQuestion, table: GrantTable, places: Sequence[Attachment]
) -> Iterator[tuple[str | None, str | None, Flow]]:
    for device, source in _sources(question, places):
        for service, destination, protocol, port in _destinations(question, table):
            # Of the addresses of a service, those of the other version of the protocol are no answer to anything.
            if family_of(source) == family_of(destination) or question.destination is not None:
                yield device, service, Flow(source, destination, protocol, port)


def _sources(question: ReachQuestion, places: Sequence[Attachment]) -> Iterator[tuple[str | None, str]]:
    wanted = {
        "device": question.device,
        "address": question.source,
        "site": question.site,
        "line": question.line,
        "device_class": question.device_class,
    }
    told = {name: value for name, value in wanted.items() if value is not None}
    is_met = False
    for place in places:
        if all(getattr(place, name) == value for name, value in told.items()):
            is_met = True
            yield place.device, place.address
    if question.source is not None and told.keys() == {"address"} and not is_met:
        yield None, question.source


def _destinations(question: ReachQuestion, table: GrantTable) -> Iterator[tuple[str | None, str, Protocol, int]]:
    if question.destination is not None and question.port is not None and question.service is None:
        yield None, question.destination, question.protocol, question.port
        return
    for name, service in table.services.items():
        if question.service not in (None, name):
            continue
        for address in service.addresses:
            for port in service.ports:
                if question.destination in (None, address) and question.port in (None, port):
                    yield name, address, service.protocol, port
