"""Any other HTTP endpoint of a model: paths that are named, JSON and text, and nothing else unless it is said so."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, unquote_plus

from adapters.gateway.proxy import documents
from adapters.gateway.proxy.endpoints import Answers, Body, Endpoint, Question, Served
from adapters.gateway.proxy.limits import Limits
from adapters.gateway.proxy.refusing import unfit, unsupported
from adapters.web.rules import Rule

_METHODS = ("GET", "POST", "PUT")
_MAX_QUERY_CHARS = 2048


@dataclass(frozen=True)
class PlainAnswers(Answers):
    """Reads JSON, events and texts.

    Args:
        types: media types of which nobody looks into what is passed on.
    """

    types: Collection[str] = ()


class Plain:
    """Makes the endpoints of one model.

    Args:
        paths: method and path, as in ``POST /predict``.
        opaque: media types that may pass without a look into them, such as ``image/png``, both ways.

    Raises:
        ValueError: no path, or one that is none.
    """

    def __init__(self, paths: Sequence[str], opaque: Collection[str] = ()) -> None:
        if not paths:
            raise ValueError("name the paths that may be reached, as in POST /predict: no other is")
        self._paths = [_path(one) for one in paths]
        self._opaque = frozenset(one.lower() for one in opaque)

    def endpoints(self, models: Sequence[Served], limits: Limits) -> list[Endpoint]:
        """Return the endpoints of a model.

        Raises:
            ValueError: there are several: paths do not tell them apart.
        """
        if len(models) != 1:
            raise ValueError("plain paths are of one model; run a proxy for each")
        served, answers = models[0], PlainAnswers(self._opaque)
        return [
            Endpoint(
                Rule(
                    "inference",
                    served.name,
                    path,
                    methods,
                    digest=served.digest,
                    max_body_bytes=limits.request_bytes,
                ),
                served,
                "request",
                path,
                self._read,
                answers,
            )
            for path, methods in _merged(self._paths).items()
        ]

    def _read(self, endpoint: Endpoint, body: Body, most: int, _limits: Limits) -> Question:
        texts = [unquote_plus(body.query)] if body.query else []
        # What a path has in a place of its own choosing reaches the model, so it is looked at and counted.
        chosen = body.path if "{any}" in endpoint.path else ""
        texts += [unquote(chosen)] if chosen else []
        if len(body.query) > _MAX_QUERY_CHARS:
            raise unfit(f"A query has at most {_MAX_QUERY_CHARS} characters.")
        where = chosen or endpoint.path
        path = f"{where}?{body.query}" if body.query else where
        size = len(body.content) + len(body.query) + len(chosen)
        if not body.content:
            return Question(texts, size, most, path, media_type="")
        if body.media_type in self._opaque:
            return Question(texts, size, most, path, content=body.content, media_type=body.media_type)
        if is_json(body.media_type):
            document = _document(body.content)
            texts += documents.strings(document)
            texts += documents.names(document)
            # How near a query is to others shows in its numbers.
            texts += documents.numbers(document)
            return Question(texts, size, most, path, document, body.content)
        if not body.media_type.startswith("text/"):
            raise unsupported("A body is JSON (application/json) or a text; others cannot be looked into.")
        try:
            texts.append(body.content.decode())
        except UnicodeDecodeError:
            raise unfit("A text is in UTF-8.") from None
        return Question(texts, size, most, path, content=body.content, media_type=body.media_type)


def is_json(media_type: str) -> bool:
    """Whether a media type is JSON, by itself or by its suffix (RFC 6839)."""
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))


def _document(content: bytes) -> Any:
    try:
        return documents.read(content)
    except documents.Unread as error:
        raise unfit(f"{error}.".capitalize()) from None


def _path(text: str) -> tuple[str, str]:
    method, _, path = text.partition(" ")
    if method not in _METHODS or not path.startswith("/"):
        raise ValueError(f"{text!r} is no method ({', '.join(_METHODS)}) and path, as in POST /predict")
    return method, path


def _merged(paths: Sequence[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for method, path in paths:
        found[path] = tuple(dict.fromkeys((*found.get(path, ()), method)))
    return found
