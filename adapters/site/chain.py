"""A device's decisions at its site, on disk: one line each, in a chain that the device signs, only ever added to.

A line holds the statement, which may be told, and the facts behind it, which stay here. A statement names the digest of
the one before it and of its facts, so that nothing can be changed, taken out of the middle or put in unseen.
"""

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.credentials import subject_of
from adapters.site.deciding import Ruling
from adapters.site.errors import SiteFault
from controlplane.capabilities.statements import NOTHING, make_statement, read_statement, statement_digest
from controlplane.contracts.site import ModelInFacts, SiteDecision, UpdateOutFacts
from controlplane.jose.keys import DeviceKey

MAX_LINE_BYTES = 32_768

MAX_PENDING = 10_000
"""Decisions that are kept to be handed in; the record itself keeps all."""

_PIECE = 65_536


@dataclass(frozen=True, slots=True)
class Line:
    """One decision as it is kept.

    Attributes:
        statement: compact JWS.
        decision: what it says.
        facts: that were decided on, with the limits that were set, and the salt of their digest.
        size: of the line, bytes.
    """

    statement: str
    decision: SiteDecision
    facts: dict[str, Any]
    size: int


@dataclass(frozen=True, slots=True)
class Mark:
    """How far decisions were handed in.

    Attributes:
        sequence: of the last one; 0 for none.
        offset: where the next one begins, bytes.
        digest: of its statement.
    """

    sequence: int = 0
    offset: int = 0
    digest: str = NOTHING


@dataclass(frozen=True, slots=True)
class Decider:
    """Which policy decided; empty where none could."""

    digest: str | None
    revision: str


class Chain:
    """The decisions of one device at its site.

    Args:
        folder: the site's state.
        key: the device's.
    """

    def __init__(self, folder: Path, key: DeviceKey) -> None:
        self.subject = subject_of(key.thumbprint)
        self.path = folder / f"decisions-{key.thumbprint}.jsonl"
        self._key = key

    def append(
        self, facts: ModelInFacts | UpdateOutFacts, ruling: Ruling, decider: Decider, stated_at: float
    ) -> SiteDecision:
        """Put a decision at the end; it is on disk when this returns.

        Raises:
            SiteFault: ``log_unavailable``: it cannot be written, or what is there cannot be read.
        """
        try:
            with self._locked(os.O_RDWR | os.O_CREAT) as descriptor:
                last = self._last(descriptor)
                limits = ruling.limits.model_dump(mode="json", exclude_none=True)
                stated = facts.model_dump(mode="json", exclude_none=True)
                kept = {**stated, "limits": limits, "salt": secrets.token_hex(16)}
                decision = self._next(last, facts, ruling, decider, stated_at, _digest(kept))
                line = _line(make_statement(self._key, decision), kept)
                os.lseek(descriptor, 0, os.SEEK_END)
                _write_all(descriptor, line)
                os.fsync(descriptor)
        except OSError as error:
            raise SiteFault("log_unavailable", f"{self.path}: {error.strerror}") from None
        return decision

    def read(self, most: int | None = None) -> list[Line]:
        """Return decisions in order.

        Args:
            most: the newest so many; none for all.

        Raises:
            SiteFault: ``log_unavailable``: a line cannot be read, or is not this device's.
        """
        whole = self._lines(0)
        return [self._read(raw) for raw in (whole if most is None else whole[-most:] if most else [])]

    def after(self, mark: "Mark") -> tuple[list[Line], int]:
        """Return the decisions that come after a mark, and where the first of them begins.

        Of more than `MAX_PENDING` the newest are returned: what is left out is a gap in their sequence.

        Raises:
            SiteFault: as `read` does.
        """
        raws, start = self._lines(mark.offset), mark.offset
        if not self._goes_on(raws, mark):
            raws, start = self._lines(0), 0
            done = mark.sequence if self._holds(raws, mark) else 0
            start, raws = sum(map(len, raws[:done])), raws[done:]
        passed = raws[: max(0, len(raws) - MAX_PENDING)]
        return [self._read(raw) for raw in raws[len(passed) :]], start + sum(map(len, passed))

    def _goes_on(self, raws: list[bytes], mark: "Mark") -> bool:
        """Whether the first of these follows a mark; where there are none, whether the file ends there."""
        if not raws:
            return not self.path.exists() or self.path.stat().st_size == mark.offset
        try:
            decision = self._read(raws[0]).decision
        except SiteFault:
            return False
        return (decision.sequence, decision.previous) == (mark.sequence + 1, mark.digest)

    def _holds(self, raws: list[bytes], mark: "Mark") -> bool:
        """Whether the decision of a mark is where its sequence says; in a file that was begun anew it is not."""
        if not 1 <= mark.sequence <= len(raws):
            return False
        return statement_digest(self._read(raws[mark.sequence - 1]).statement) == mark.digest

    def _lines(self, offset: int) -> list[bytes]:
        try:
            with self.path.open("rb") as file:
                file.seek(offset)
                return [raw for raw in file if raw.endswith(b"\n")]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SiteFault("log_unavailable", f"{self.path}: {error.strerror}") from None

    def verify(self) -> int:
        """Return how many decisions there are, once all of them are signed and follow one another.

        Raises:
            SiteFault: ``log_unavailable``: they do not; it says which.
        """
        previous: Line | None = None
        lines = self.read()
        for number, line in enumerate(lines, 1):
            expected = _following(previous)
            found = (line.decision.sequence, line.decision.previous, line.decision.previous_time)
            if found != expected or line.decision.facts_digest != _digest(line.facts):
                raise SiteFault("log_unavailable", f"{self.path}:{number} does not follow, or was changed.")
            previous = line
        return len(lines)

    def _next(
        self,
        last: Line | None,
        facts: ModelInFacts | UpdateOutFacts,
        ruling: Ruling,
        decider: Decider,
        stated_at: float,
        facts_digest: str,
    ) -> SiteDecision:
        sequence, previous, previous_time = _following(last)
        return SiteDecision(
            sequence=sequence,
            previous=previous,
            previous_time=previous_time,
            time=stated_at,
            subject=self.subject,
            action=facts.action.name,
            outcome="allow" if ruling.allowed else "veto",
            model=facts.resource.id,
            round_id=facts.context.round_id or "",
            audience=facts.context.audience,
            reasons=ruling.codes,
            policy_digest=decider.digest,
            policy_revision=decider.revision,
            facts_digest=facts_digest,
        )

    @contextmanager
    def _locked(self, flags: int) -> Iterator[int]:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.path, flags | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            with suppress(OSError):
                os.close(descriptor)

    def _last(self, descriptor: int) -> Line | None:
        """Return the last decision; half a line that a power cut left is cut off, for nobody was told of it."""
        size = os.lseek(descriptor, 0, os.SEEK_END)
        tail = os.pread(descriptor, _PIECE, max(0, size - _PIECE))
        whole = tail[: tail.rfind(b"\n") + 1]
        if not whole and size > len(tail):
            raise SiteFault("log_unavailable", f"{self.path} does not end with a decision.")
        if len(whole) < len(tail):
            os.ftruncate(descriptor, size - (len(tail) - len(whole)))
        raw = whole[:-1].rpartition(b"\n")[2]
        return self._read(raw) if whole else None

    def _read(self, raw: bytes) -> Line:
        try:
            found = json.loads(raw)
            statement, facts = found["statement"], found["facts"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise SiteFault("log_unavailable", f"{self.path} holds a line that is none.") from None
        decision = read_statement(statement, self._key.thumbprint)
        if decision is None or not isinstance(facts, dict):
            raise SiteFault("log_unavailable", f"{self.path} holds a line that this device did not sign.")
        return Line(statement, decision, facts, len(raw))


def _following(last: Line | None) -> tuple[int, str, float]:
    if last is None:
        return 1, NOTHING, 0.0
    return last.decision.sequence + 1, statement_digest(last.statement), last.decision.time


def _line(statement: str, facts: dict[str, Any]) -> bytes:
    line = json.dumps({"statement": statement, "facts": facts}, separators=(",", ":")).encode() + b"\n"
    if len(line) > MAX_LINE_BYTES:
        raise SiteFault("log_unavailable", "The decision is longer than a line may be.")
    return line


def _digest(facts: dict[str, Any]) -> str:
    return "sha256:" + hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
