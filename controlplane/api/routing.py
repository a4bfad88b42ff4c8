"""A route and what its contract says; the table of routes is also the source of the OpenAPI document."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

from controlplane.contracts.base import StrictModel
from controlplane.contracts.problem import Problem

Responder = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Parameter:
    """What an operation reads beside its path and its body.

    Attributes:
        name: of the header or query parameter.
        place: where it stands.
        text: one line for people.
        schema: JSON Schema of its value.
        required: nothing is answered without it.
    """

    name: str
    place: Literal["header", "query"]
    text: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    required: bool = False


@dataclass(frozen=True)
class Route:
    """One operation.

    Attributes:
        responder: what answers it.
        summary: one line for people.
        body: contract of the request body.
        body_type: its media type.
        replies: contract by success status; none for a body without a model.
        problems: statuses of errors that it may answer with.
        error: contract of those errors; `Problem` documents are ``application/problem+json``.
        proof: the request carries a DPoP proof of an enrolled key.
        people: a person's token from their identity provider serves as well.
        scheme: of a token of its own, which opens this route and no other; empty for none.
        media_type: of what it answers with when it succeeds; empty for an empty answer.
        parameters: what else it reads.
        idempotent: it takes an ``Idempotency-Key``.
        choices: the values that a part of the path may have, by its name; any where it is not named.
    """

    method: str
    path: str
    responder: Responder
    summary: str
    body: type[StrictModel] | None = None
    body_type: str = "application/json"
    replies: Mapping[int, type[StrictModel] | None] = field(default_factory=lambda: {200: None})
    problems: tuple[int, ...] = ()
    error: type[StrictModel] = Problem
    proof: bool = False
    people: bool = False
    scheme: str = ""
    media_type: str = "application/json"
    parameters: tuple[Parameter, ...] = ()
    idempotent: bool = False
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def pattern(self) -> str:
        """The path as the router knows it."""
        pattern = self.path
        for name, values in self.choices.items():
            pattern = pattern.replace(f"{{{name}}}", f"{{{name}:{'|'.join(values)}}}")
        return pattern
