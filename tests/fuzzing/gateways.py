"""Parsers of what gateways are asked and told: questions of proxies, bodies for models, signatures of requests."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from tests.fuzzing.aiming import Target, headers_of, pairs_of, taken, text_of


def _dialects() -> Target:
    """The five proxies one after the other, each with certificates."""
    from adapters.gateway.dialects import DIALECTS, SubRequest
    from adapters.web.answering import Refusal
    from adapters.web.presented import body_bytes, shown_by
    from tests.adapters.gateway.test_dialects import NOW, SAID
    from tests.fuzzing.aiming import NotTaken

    def _take(data: bytes) -> object:
        headers, found = headers_of(data), []
        for dialect in DIALECTS.values():
            sub = SubRequest("POST", "/v1/infer?q=1", headers)
            asked = dialect.asked(sub, NOW, takes_certificates=True, largest_body=12)
            if not isinstance(asked, Refusal):
                body_bytes(asked)
                found.append(shown_by(asked))
        if not found:
            raise NotTaken
        return found

    seeds = [
        "\n".join(f"{name}: {value}" for name, (value,) in [*said.items(), *SHOWN.items()]).encode()
        for said in SAID.values()
    ]
    return Target(_take, seeds)


SHOWN = {
    "authorization": ["DPoP a.b.c"],
    "dpop": ["d.e.f"],
    "client-cert-verified": ["SUCCESS"],
    "client-cert": ["-----BEGIN%20CERTIFICATE-----%0AMIIB%0A-----END%20CERTIFICATE-----%0A"],
    "x-forwarded-client-cert": ["Hash=" + "a" * 64],
}


def _envoy_check() -> Target:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    from adapters.gateway.envoy_grpc import asked_of
    from adapters.gateway.envoy_messages import CheckRequest

    question: Any = CheckRequest()
    http = question.attributes.request.http
    http.method, http.path = "POST", "/v1/infer?q=1"
    question.attributes.source.certificate = SHOWN["client-cert"][0]
    for name, value in (("content-length", "3"), ("dpop", "d.e.f")):
        http.header_map.headers.add(key=name, raw_value=value.encode())
        http.headers.add(key=name, value=value)
    return Target(
        lambda data: taken(asked_of(CheckRequest.FromString(data), 0.0)), [question.SerializeToString()], (DecodeError,)
    )


def _asking(api: Any, path: str, *seeds: Any) -> Target:
    """A body for one endpoint of an API, up to the bytes that the model would be sent."""
    from adapters.gateway.proxy.endpoints import Body, Served
    from adapters.gateway.proxy.limits import Limits
    from adapters.gateway.proxy.refusing import Refused

    limits = Limits()
    [endpoint] = [one for one in api.endpoints([Served("m")], limits) if one.path == path]

    def _take(data: bytes) -> object:
        question = endpoint.read(endpoint, Body(data, "application/json", "", path), 64, limits)
        question.limit(question)
        return [one.encode() for one in question.texts], question.body()

    return Target(_take, [json.dumps(one).encode() for one in seeds], (Refused,))


def _chat() -> Target:
    from adapters.gateway.proxy.openai import OpenAi

    said = [{"role": "system", "content": "be brief"}, {"role": "user", "content": [{"type": "text", "text": "hi"}]}]
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {}}}}}
    plain = {"model": "m", "messages": said, "n": 2, "max_tokens": 9, "temperature": 0.5, "stop": ["x"]}
    seeds = [plain, {"model": "m", "messages": said, "tools": [tool], "stream": True, "logit_bias": {"5": 1}}]
    return _asking(OpenAi(media=True), "/v1/chat/completions", *seeds)


def _completion() -> Target:
    from adapters.gateway.proxy.openai import OpenAi

    return _asking(OpenAi(), "/v1/completions", {"model": "m", "prompt": ["a", "b"], "suffix": "c", "echo": True})


def _embedding() -> Target:
    from adapters.gateway.proxy.openai import OpenAi

    return _asking(OpenAi(), "/v1/embeddings", {"model": "m", "input": "a", "dimensions": 8})


def _inference() -> Target:
    from adapters.gateway.proxy.kserve import KServe

    tensor = {"name": "a", "shape": [2], "datatype": "FP32", "data": [1.5, [2]]}
    text = {"name": "b", "shape": [1], "datatype": "BYTES", "data": ["hi"], "parameters": {"content_type": "str"}}
    asked = {"id": "7", "inputs": [tensor, text], "outputs": [{"name": "c"}], "parameters": {"classification": 3}}
    return _asking(KServe(), "/v2/models/m/infer", asked)


def _answer() -> Target:
    """What a model answers: its texts, tokens and end."""
    from adapters.gateway.content.labels import label_of
    from adapters.gateway.proxy import documents
    from adapters.gateway.proxy.openai import OpenAiAnswers

    answers = OpenAiAnswers()

    def _take(data: bytes) -> object:
        document = documents.read(data)
        label_of(document)
        answers.is_closing(document)
        answers.is_usage_alone(document)
        return answers.texts(document), answers.names(document), answers.usage(document)

    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    seed = {"id": "x", "choices": [choice, {"index": 1, "delta": {"content": "ho"}}], "usage": usage}
    scored = [{"label": "on", "score": 0.7}, {"label": "off", "score": 1}]
    tensor = {"name": "a", "datatype": "FP32", "shape": [2], "data": [0.1, 0.9]}
    seeds = [seed, {"predictions": scored}, scored, {"outputs": [tensor]}]
    return Target(_take, [json.dumps(one).encode() for one in seeds], (documents.Unread,))


def _signed_request() -> Target:
    from adapters.http.signing import SignatureVerifier, SignedRequest
    from tests.adapters.http.test_signing import KEY, NOW, URL, signed
    from tests.fuzzing.aiming import NotTaken

    def _take(data: bytes) -> object:
        request = SignedRequest("POST", URL, _Lines(pairs_of(data)))
        found = SignatureVerifier(lambda: NOW).verify(request, lambda _name: KEY.public)
        if not isinstance(found, str):
            raise NotTaken(found)
        return found

    return Target(_take, ["\n".join(f"{name}: {value}" for name, value in signed().items()).encode()])


class _Lines:
    """Header lines as `multidict` has them: a name may be there more than once, in any case."""

    def __new__(cls, pairs: list[tuple[str, str]]) -> Any:
        from multidict import CIMultiDict

        return CIMultiDict(pairs)


def _content_digest() -> Target:
    from adapters.flower.proxy.headers import read_digest
    from adapters.http.signing import read_content_digest, write_content_digest

    def _take(data: bytes) -> object:
        lines = text_of(data).split("\n")
        read_digest(lines)
        return taken(read_content_digest(lines))

    seed = write_content_digest(hashlib.sha256(b"x").digest())
    return Target(_take, [seed.encode(), f"md5=:AAAA:;q=1, {seed}".encode()])


MADE: dict[str, Callable[[], Target]] = {
    "chat": _chat,
    "completion": _completion,
    "content_digest": _content_digest,
    "embedding": _embedding,
    "envoy_check": _envoy_check,
    "gateway_question": _dialects,
    "inference": _inference,
    "model_answer": _answer,
    "signed_request": _signed_request,
}
"""By name."""
