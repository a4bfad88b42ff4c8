"""What the proxy serves: which paths, by which capability, how a request and its answer are read."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from adapters.gateway.interfaces import Terms
from adapters.gateway.proxy import documents
from adapters.gateway.proxy.limits import Limits
from adapters.gateway.proxy.shaping import Unshapable
from adapters.web.rules import Rule
from controlplane.contracts.base import is_identifier

if TYPE_CHECKING:
    from adapters.gateway.metrics import Operation

MOST_MODELS = 64
"""Behind one proxy."""


_PICTURE = re.compile(r"data:image/[a-z0-9.+-]{1,32};base64,[A-Za-z0-9+/]*={0,2}")

Place = tuple[str | int, ...]
"""Where in a document a text stands."""


@dataclass(frozen=True)
class Served:
    """A model behind the proxy.

    Args:
        name: in capabilities, in paths, and in what clients send.
        upstream: its name at the upstream; none for the same.
        digest: of its weights, where that is known; capabilities must then be for these.

    Raises:
        ValueError: the name is none.
    """

    name: str
    upstream: str | None = None
    digest: str | None = None

    def __post_init__(self) -> None:
        if not is_identifier(self.name):
            raise ValueError(f"{self.name!r} is no model's identifier")

    @property
    def upstream_name(self) -> str:
        """Its name at the upstream."""
        return self.upstream or self.name


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body, and what belongs to its reading.

    Attributes:
        content: bytes, whole.
        media_type: in lower case, without parameters.
        query: of the URL, undecoded; not part of what a proof covers.
        path: as it came.
    """

    content: bytes
    media_type: str = ""
    query: str = ""
    path: str = "/"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as an upstream states them."""

    prompt: int
    output: int


@dataclass
class Question:
    """What a model is asked, as it goes on to the upstream.

    Attributes:
        document: JSON; none for a body of another type, or none.
        content: the body, where it is no JSON.
        texts: that are judged.
        prompt_tokens: no fewer than the prompt has: no token is shorter than a byte.
        output_tokens: the most that all answers together may have.
        path: at the upstream, undecoded, with its query.
        limit: tells the upstream of the most that the answers may have.
        without: members of the document that hold no text.
        is_limited: the upstream is told of the most that the answers may have, and keeps to it.
        hides_usage: the upstream is asked to state its tokens in an event that the client did not ask for.
    """

    texts: list[str]
    prompt_tokens: int
    output_tokens: int
    path: str
    document: Any = None
    content: bytes = b""
    media_type: str = "application/json"
    limit: Callable[["Question"], None] = lambda _question: None
    without: Collection[str] = ()
    is_limited: bool = False
    hides_usage: bool = False

    def obey(self, terms: Terms, redacted: Callable[[str], str]) -> None:
        """Keep to what policy wants of a prompt: what is blacked out, and how long the answer may be.

        Raises:
            Unshapable: what is to be blacked out is a name or a word of the protocol, which the document would be
                another one without.
            Refused: not one token is left for each answer.
        """
        if terms.redact:
            kept = [*documents.names(self.document), *documents.unreplaced(self.document, self.without)]
            named = "\n".join(one for one in kept if not _PICTURE.fullmatch(one))
            if redacted(named) != named:
                raise Unshapable("a name of a member, or a word of the protocol, is to be blacked out")
            if self.document is not None:
                self.document = documents.replaced(self.document, redacted, self.without)
            elif self.content:
                self.content = redacted(self.content.decode()).encode()
        if terms.max_output_tokens is not None:
            self.output_tokens = max(0, min(self.output_tokens, terms.max_output_tokens))
        self.limit(self)

    def body(self) -> bytes:
        """The bytes that the upstream is sent: what was looked at, and nothing that it could read in another way."""
        return self.content if self.document is None else documents.written(self.document)


class Answers:
    """How the answers of an API are read. This one reads any JSON.

    Attributes:
        types: media types that an answer may have beside JSON, texts and server-sent events.
        done: data of the event that ends a stream; none where the end of the connection does.
        without: members of a document that hold no text.
        repeating: members that say the text once more in another form; they go where anything is blacked out, and where
            it is not known yet whether anything is.
    """

    types: Collection[str] = ()
    done: str | None = None
    without: Collection[str] = ()
    repeating: Collection[str] = ()

    def texts(self, document: Any) -> list[tuple[Place, str]]:
        """Return the texts of an answer, or of one event of it, each with its place: there it goes on in the next."""
        return [(place, text) for place, text in placed(document, self.without) if text]

    def names(self, document: Any) -> str:
        """Return the names of an answer's members, where whoever answers chooses these too."""
        return "\n".join(documents.names(document))

    def usage(self, _document: Any) -> Usage | None:
        """Return the tokens that an answer states, or none."""
        return None

    def is_closing(self, _document: Any) -> bool:
        """Whether an event says that the answer is over; it waits until all of it has been judged."""
        return False

    def is_usage_alone(self, _document: Any) -> bool:
        """Whether an event states tokens and nothing else."""
        return False


Reader = Callable[["Endpoint", Body, int, Limits], Question]
"""Returns what a body asks, with at most so many tokens in answer; raises `Refused` for what is not taken."""


@dataclass(frozen=True)
class Endpoint:
    """One path.

    Attributes:
        rule: which capability it needs.
        served: the model behind it.
        operation: as it is measured.
        path: at the upstream; empty for that of the request.
        read: reads its requests.
        answers: reads its answers.
        own: the proxy's own answer, in place of the upstream's; none to forward.
        is_about: its answers are about the model, and none of the model's.
    """

    rule: Rule
    served: Served
    operation: "Operation"
    path: str
    read: Reader
    answers: Answers = field(default_factory=Answers)
    own: Mapping[str, Any] | None = None
    is_about: bool = False


def placed(value: Any, without: Collection[str], at: Place = ()) -> Iterator[tuple[Place, str]]:
    """Give out each string of a document with its place. Parts of a list that say their ``index`` are placed by it."""
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, dict):
        for name, one in value.items():
            if name not in without:
                yield from placed(one, without, (*at, name))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from placed(one, without, (*at, _index(one, number)))


def changed(value: Any, change: Callable[[Place, str], str], without: Collection[str], at: Place = ()) -> Any:
    """Return a document with ``change`` made to each string that `placed` gives out."""
    if isinstance(value, str):
        return change(at, value)
    if isinstance(value, dict):
        return {
            name: one if name in without else changed(one, change, without, (*at, name)) for name, one in value.items()
        }
    if isinstance(value, list):
        return [changed(one, change, without, (*at, _index(one, number))) for number, one in enumerate(value)]
    return value


def _index(value: Any, number: int) -> int:
    index = value.get("index", number) if isinstance(value, dict) else number
    return index if isinstance(index, int) else number


def by_rule(endpoints: Collection[Endpoint]) -> dict[Rule, Endpoint]:
    """Return endpoints by their rules.

    Raises:
        ValueError: none, too many, or two for one path.
    """
    if not endpoints:
        raise ValueError("name at least one model that is served")
    if len({one.served.name for one in endpoints}) > MOST_MODELS:
        raise ValueError(f"at most {MOST_MODELS} models are served by one proxy")
    paths = [one.rule.path for one in endpoints]
    twice = sorted({str(path) for path in paths if paths.count(path) > 1})
    if twice:
        raise ValueError(f"these paths are served twice: {', '.join(twice)}")
    return {one.rule: one for one in endpoints}
