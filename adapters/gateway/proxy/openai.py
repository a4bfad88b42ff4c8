"""The API that OpenAI made common: chat, completions, embeddings, models. Members that are not known are refused."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

from adapters.gateway.proxy import documents
from adapters.gateway.proxy.endpoints import Answers, Body, Endpoint, Question, Served, Usage
from adapters.gateway.proxy.limits import Limits
from adapters.gateway.proxy.messages import media_of, said_in
from adapters.gateway.proxy.refusing import unfit, wrong_model
from adapters.web.rules import Rule

LimitMember = Literal["max_tokens", "max_completion_tokens"]
"""The member by which an upstream is told how long an answer may be, where the client named none."""

MOST_TOKENS: Final = 2**31 - 1

NO_TEXT: Final = frozenset({"model", "role", "type", "object", "id", "finish_reason", "url"})
"""Members whose values are words of the protocol, not of its users."""

_COMMON = {"model", "user"}
_SAMPLING = {
    *("stream", "stream_options", "max_tokens", "n", "temperature", "top_p", "stop", "seed", "logit_bias", "logprobs"),
    *("presence_penalty", "frequency_penalty"),
}
_CHAT = (
    _COMMON
    | _SAMPLING
    | {
        *("messages", "max_completion_tokens", "top_logprobs", "response_format", "tools", "tool_choice"),
        *("parallel_tool_calls", "functions", "function_call", "reasoning_effort", "verbosity"),
    }
)
_COMPLETION = _COMMON | _SAMPLING | {"prompt", "suffix", "echo", "best_of"}
_EMBEDDING = _COMMON | {"input", "encoding_format", "dimensions"}
_NUMBERS = {
    *("temperature", "top_p", "seed", "presence_penalty", "frequency_penalty", "top_logprobs", "parallel_tool_calls"),
    "dimensions",
}
_WORDS = {
    "reasoning_effort": ("none", "minimal", "low", "medium", "high", "xhigh"),
    "verbosity": ("low", "medium", "high"),
    "encoding_format": ("float", "base64"),
}
_STRUCTURED = ("tools", "functions", "response_format", "tool_choice", "function_call")


class OpenAiAnswers(Answers):
    """Reads chat completions, completions and embeddings, whole and in events."""

    done = "[DONE]"
    repeating = frozenset({"logprobs", "prompt_logprobs", "token_ids", "prompt_token_ids"})
    without = NO_TEXT | repeating | {"embedding", "usage", "system_fingerprint", "service_tier", "obfuscation"}

    def names(self, _document: Any) -> str:
        """Return none: they are words of the protocol."""
        return ""

    def usage(self, document: Any) -> Usage | None:
        """Return ``usage`` where it has whole numbers."""
        stated = document.get("usage") if isinstance(document, dict) else None
        if not isinstance(stated, dict):
            return None
        prompt = documents.whole(stated.get("prompt_tokens"), 0, MOST_TOKENS)
        output = documents.whole(stated.get("completion_tokens", 0), 0, MOST_TOKENS)
        return None if prompt is None or output is None else Usage(prompt, output)

    def is_closing(self, document: Any) -> bool:
        """Whether a choice is finished, or none is left to say anything."""
        choices = document.get("choices") if isinstance(document, dict) else None
        return isinstance(choices, list) and (
            not choices or any(isinstance(one, dict) and one.get("finish_reason") for one in choices)
        )

    def is_usage_alone(self, document: Any) -> bool:
        """Whether there are tokens and no choices."""
        return isinstance(document, dict) and document.get("choices") == [] and self.usage(document) is not None


_ANSWERS: Final = OpenAiAnswers()


class OpenAi:
    """Makes the endpoints of models that are served so: ``/v1/...`` of the only one, ``/NAME/v1/...`` of several.

    Args:
        member: by which the upstream is told how long an answer may be.
        media: whether prompts may have pictures. Nothing looks into these.
    """

    def __init__(self, member: LimitMember = "max_tokens", *, media: bool = False) -> None:
        self._member = member
        self._media = media

    def endpoints(self, models: Sequence[Served], limits: Limits) -> list[Endpoint]:
        """Return the endpoints of models.

        Raises:
            ValueError: a name gives no path.
        """
        return [one for served in models for one in self._of(served, f"/{served.name}" if models[1:] else "", limits)]

    def _of(self, served: Served, prefix: str, limits: Limits) -> Iterator[Endpoint]:
        shapes = (
            ("chat", "/v1/chat/completions", self._chat),
            ("text_completion", "/v1/completions", self._completion),
            ("embeddings", "/v1/embeddings", self._embedding),
        )
        for operation, path, read in shapes:
            rule = _rule(served, prefix + path, "POST", limits)
            yield Endpoint(rule, served, operation, path, read, _ANSWERS)  # type: ignore[arg-type] # of a closed set
        model = {"id": served.name, "object": "model", "created": 0, "owned_by": "ztfm"}
        listed = {"object": "list", "data": [model]}
        for path, own in (("/v1/models", listed), (f"/v1/models/{served.name}", model)):
            yield Endpoint(_rule(served, prefix + path, "GET", limits), served, "request", path, _nothing, own=own)

    def _chat(self, endpoint: Endpoint, body: Body, most: int, limits: Limits) -> Question:
        document = _document(endpoint, body, _CHAT)
        media = media_of(document.get("messages"), allowed=self._media)
        texts = said_in(document["messages"])
        return self._question(endpoint, document, texts, _choices(document, limits), most, limits, media)

    def _completion(self, endpoint: Endpoint, body: Body, most: int, limits: Limits) -> Question:
        document = _document(endpoint, body, _COMPLETION)
        prompts = _texts(document.get("prompt"), "prompt")
        choices = _choices(document, limits) * len(prompts)
        if choices > limits.choices:
            raise unfit(f"At most {limits.choices} answers are given to one request: prompts times n, or best_of.")
        return self._question(endpoint, document, prompts, choices, most, limits)

    def _embedding(self, endpoint: Endpoint, body: Body, _most: int, _limits: Limits) -> Question:
        document = _document(endpoint, body, _EMBEDDING)
        texts = _texts(document.get("input"), "input")
        _require_values(document)
        return Question(texts, len(documents.written(document)), 0, endpoint.path, document, without=NO_TEXT)

    def _question(
        self,
        endpoint: Endpoint,
        document: dict[str, Any],
        texts: list[str],
        choices: int,
        most: int,
        limits: Limits,
        media: Sequence[str] = (),
    ) -> Question:
        for name in ("stream", "echo", "logprobs"):
            if name in document and not isinstance(document[name], (bool, int)):
                raise unfit(f"The member {name} is true or false.")
        asked = [_asked(document, name) for name in ("max_tokens", "max_completion_tokens") if name in document]
        each = min([most // choices, *asked])
        if each < 1:
            raise unfit(f"The capability allows {most} output tokens, and {choices} answers are asked for.", "too_many")
        texts += [text for name in ("stop", "suffix") for text in documents.strings(document.get(name))]
        for name in _STRUCTURED:
            if name in document:
                texts.append(documents.written(document[name]).decode())
                # In JSON a new line is no space: each text is looked at as it is, too.
                texts += (text for text in documents.strings(document[name]) if any(ord(one) < 0x20 for one in text))
        _require_values(document)
        size = len(documents.written(document)) - sum(map(len, media)) + limits.media_tokens * len(media)

        def limit(question: Question) -> None:
            """Write how long each answer may be into the document."""
            share = question.output_tokens // choices
            if share < 1:
                raise unfit("Policy allows no output token for each of the answers that are asked for.", "too_many")
            names = [name for name in ("max_tokens", "max_completion_tokens") if name in question.document]
            question.document.update(dict.fromkeys(names or [self._member], share))

        question = Question(texts, size, each * choices, endpoint.path, document, limit=limit, without=NO_TEXT)
        question.is_limited = True
        question.hides_usage = _ask_usage(document)
        return question


def _rule(served: Served, path: str, method: str, limits: Limits) -> Rule:
    return Rule("inference", served.name, path, (method,), digest=served.digest, max_body_bytes=limits.request_bytes)


def _document(endpoint: Endpoint, body: Body, known: set[str]) -> dict[str, Any]:
    """Return a body with the upstream's name of the model, once it has named the one that this path is for."""
    if body.query:
        raise unfit("This path takes no query.")
    try:
        document = documents.read(body.content)
    except documents.Unread as error:
        raise unfit(f"{error}.".capitalize()) from None
    if not isinstance(document, dict):
        raise unfit("The body is one JSON object.")
    unknown = sorted(document.keys() - known)
    if unknown:
        raise unfit(f"These members are not taken here: {', '.join(name[:64] for name in unknown[:8])}.", "member")
    stated = document.get("model", endpoint.served.name)
    if stated != endpoint.served.name:
        raise wrong_model(stated[:64] if isinstance(stated, str) else "", endpoint.served.name)
    document.pop("user", None)
    return {**document, "model": endpoint.served.upstream_name}


def _require_values(document: dict[str, Any]) -> None:
    """Refuse options that are none: what is no number, and no word that is known, could be a text for the model.

    Raises:
        Refused: one is.
    """
    for name in _NUMBERS & document.keys():
        if document[name] is not None and not isinstance(document[name], (int, float)):
            raise unfit(f"The member {name} is a number.")
    for name, words in _WORDS.items():
        if document.get(name) is not None and document[name] not in words:
            raise unfit(f"The member {name} is one of {', '.join(words)}.")
    bias = document.get("logit_bias")
    if bias is not None and not (
        isinstance(bias, dict)
        and all(name.isascii() and name.isdecimal() and isinstance(one, (int, float)) for name, one in bias.items())
    ):
        raise unfit("The member logit_bias has numbers, each by the number of a token.")


def _texts(value: Any, name: str) -> list[str]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not found or not all(isinstance(one, str) for one in found):
        raise unfit(f"The member {name} is a text, or a list of texts: lists of tokens cannot be looked into.")
    return list(found)


def _choices(document: dict[str, Any], limits: Limits) -> int:
    found = [documents.whole(document.get(name, 1), 1, limits.choices) for name in ("n", "best_of")]
    counts = [count for count in found if count is not None]
    if len(counts) < len(found):
        raise unfit(f"The members n and best_of are whole numbers from 1 to {limits.choices}.")
    return max(counts)


def _asked(document: dict[str, Any], name: str) -> int:
    found = documents.whole(document[name], 1, MOST_TOKENS)
    if found is None:
        raise unfit(f"The member {name} is a whole number above zero.")
    return found


def _ask_usage(document: dict[str, Any]) -> bool:
    """Let the upstream state its tokens at the end of a stream; return whether the client did not ask for that."""
    options = document.get("stream_options")
    if options is not None and not (
        isinstance(options, dict)
        and options.keys() <= {"include_usage", "include_obfuscation"}
        and all(isinstance(one, bool) for one in options.values())
    ):
        raise unfit("The member stream_options has include_usage and include_obfuscation, each true or false.")
    if not document.get("stream"):
        return False
    document["stream_options"] = {**(options or {}), "include_usage": True}
    return not (options or {}).get("include_usage", False)


def _nothing(endpoint: Endpoint, _body: Body, _most: int, _limits: Limits) -> Question:
    return Question([], 0, 0, endpoint.path)
