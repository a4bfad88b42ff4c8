"""A route and what its contract says; the table of routes is also the source of the OpenAPI document."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from controlplane.contracts.base import StrictModel

Responder = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Route:
    """One operation.

    Attributes:
        responder: what answers it.
        summary: one line for people.
        body: contract of the request body.
        replies: contract by success status; none for a body without a model.
        problems: statuses of problem documents that it may answer with.
        proof: the request carries a DPoP proof of an enrolled key.
    """

    method: str
    path: str
    responder: Responder
    summary: str
    body: type[StrictModel] | None = None
    replies: Mapping[int, type[StrictModel] | None] = field(default_factory=lambda: {200: None})
    problems: tuple[int, ...] = ()
    proof: bool = False
