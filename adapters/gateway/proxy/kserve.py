"""The Open Inference Protocol of KServe (version 2): inference, metadata and readiness of a model, as JSON."""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final
from urllib.parse import quote

from adapters.gateway.proxy import documents
from adapters.gateway.proxy.endpoints import Answers, Body, Endpoint, Question, Served
from adapters.gateway.proxy.limits import Limits
from adapters.gateway.proxy.refusing import unfit
from adapters.web.rules import Rule

MOST_TENSORS: Final = 64
"""In one request."""

_MEMBERS = {"id", "parameters", "inputs", "outputs"}
_TENSOR = {"name", "shape", "datatype", "parameters", "data"}
_OUTPUT = {"name", "parameters"}
_PARAMETERS = {"content_type", "classification"}
_TYPES = {
    *("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64"),
    "BYTES",
}
_WORD = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")
_NOT_SAID = frozenset({"name", "datatype", "id", "model_name", "model_version", "content_type"})


class KServeAnswers(Answers):
    """Reads the outputs of an inference."""

    without = _NOT_SAID

    def names(self, _document: Any) -> str:
        """Return none: they are words of the protocol."""
        return ""


_ANSWERS: Final = KServeAnswers()


class KServe:
    """Makes the endpoints of models that are served so: ``/v2/models/NAME``, ``.../ready``, ``.../infer``."""

    def endpoints(self, models: Sequence[Served], limits: Limits) -> list[Endpoint]:
        """Return the endpoints of models."""
        return [one for served in models for one in self._of(served, limits)]

    def _of(self, served: Served, limits: Limits) -> Iterator[Endpoint]:
        here, there = f"/v2/models/{served.name}", f"/v2/models/{quote(served.upstream_name, safe='')}"
        for last in ("", "/ready"):
            rule = Rule("inference", served.name, here + last, ("GET",), digest=served.digest, max_body_bytes=1)
            yield Endpoint(rule, served, "request", there + last, _about, _ANSWERS, is_about=True)
        rule = Rule(
            "inference",
            served.name,
            here + "/infer",
            ("POST",),
            digest=served.digest,
            max_body_bytes=limits.request_bytes,
        )
        yield Endpoint(rule, served, "infer", there + "/infer", _infer, _ANSWERS)


def _about(endpoint: Endpoint, body: Body, _most: int, _limits: Limits) -> Question:
    if body.query or body.content:
        raise unfit("This path takes neither a query nor a body.")
    return Question([], 0, 0, endpoint.path)


def _infer(endpoint: Endpoint, body: Body, most: int, _limits: Limits) -> Question:
    if body.query:
        raise unfit("This path takes no query.")
    try:
        document = documents.read(body.content)
    except documents.Unread as error:
        raise unfit(f"{error}.".capitalize()) from None
    _require(document, _MEMBERS, "The body")
    inputs = document.get("inputs")
    if not isinstance(inputs, list) or not 0 < len(inputs) <= MOST_TENSORS:
        raise unfit(f"The member inputs is a list of 1 to {MOST_TENSORS} tensors.")
    outputs = document.get("outputs", [])
    if not isinstance(outputs, list) or len(outputs) > MOST_TENSORS:
        raise unfit(f"The member outputs is a list of at most {MOST_TENSORS} tensors.")
    for one in outputs:
        _require(one, _OUTPUT, "An output")
    texts, size = list[str](), 0
    for one in inputs:
        said, tokens = _tensor(one)
        texts += said
        size += tokens
    return Question(texts, size, most, endpoint.path, document, without=_NOT_SAID)


def _tensor(tensor: Any) -> tuple[list[str], int]:
    """Return the texts of a tensor, and its size in tokens: a byte of a text, or a number, is one."""
    _require(tensor, _TENSOR, "An input")
    if not _is_of(tensor.get("datatype"), _TYPES) or "data" not in tensor:
        raise unfit(f"An input has its data in the body, and a datatype of: {', '.join(sorted(_TYPES))}.")
    data = tensor["data"]
    if not isinstance(data, list) or next(documents.names(data), None) is not None:
        raise unfit("The data of an input is a list of numbers or of texts, or a list of such lists.")
    shape = tensor.get("shape")
    if not isinstance(shape, list) or any(documents.whole(one, 0, 2**53) is None for one in shape):
        raise unfit("The shape of an input is a list of whole numbers.")
    texts = list(documents.strings(data))
    if texts and (tensor["datatype"] != "BYTES" or next(documents.numbers(data), None) is not None):
        raise unfit("Only an input of datatype BYTES has texts, and it has nothing else.")
    # Numbers are looked at as one text of JSON: how near a query is to others shows in them.
    return texts or [documents.written(data).decode()], _size(data)


def _is_of(value: Any, words: Collection[str]) -> bool:
    return isinstance(value, str) and value in words


def _size(value: Any) -> int:
    if isinstance(value, list):
        return sum(map(_size, value))
    return len(value.encode()) if isinstance(value, str) else 1


def _require(value: Any, known: set[str], what: str) -> None:
    """Refuse members that are not known: shared memory, binary data, sequences that are somebody else's.

    Raises:
        Refused: there is one.
    """
    if not isinstance(value, dict):
        raise unfit(f"{what} is an object.")
    parameters = value.get("parameters", {})
    # These pass as they are, for they hold no text.
    words = [value[name] for name in ("id", "name") if name in value]
    words += [parameters["content_type"]] if isinstance(parameters, dict) and "content_type" in parameters else []
    if not all(isinstance(one, str) and _WORD.fullmatch(one) for one in words):
        raise unfit(f"{what} has names and ids of at most 128 letters, digits, and the characters _ . : / -.")
    if isinstance(parameters, dict) and not isinstance(parameters.get("classification", 0), int):
        raise unfit("The parameter classification is a whole number.")
    unknown = sorted(value.keys() - known)
    unknown += sorted(parameters.keys() - _PARAMETERS) if isinstance(parameters, dict) else ["parameters"]
    if unknown:
        raise unfit(
            f"{what} has members that are not taken here: {', '.join(one[:64] for one in unknown[:8])}.", "member"
        )
