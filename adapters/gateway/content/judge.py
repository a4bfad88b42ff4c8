"""The judge of content: looks, asks the control plane with numbers alone, and says what policy wants done."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from adapters.errors import ControlPlaneError
from adapters.gateway.content import verdicts
from adapters.gateway.content.interface import Classifier, Found, Group, counted
from adapters.gateway.content.looking import INLINE_CHARS, Looking, TooLong, looked_at
from adapters.gateway.content.pacing import Pacing
from adapters.gateway.content.probing import Probing
from adapters.gateway.content.redacting import StreamRedactor, redacted
from adapters.gateway.content.rules import Rules
from adapters.gateway.interfaces import Denied, Direction, Findings, Terms
from adapters.web.admission import Admitted
from controlplane.contracts.content import ContentFindings, ContentReport
from controlplane.contracts.decision import ContentAnswer

MAX_CHARS = 262_144
"""Of the texts of a prompt, or of the part of an answer, that is judged at once."""

LOOK_SECONDS = 5.0
AT_ONCE = 64

_MOST = 1_000_000_000
_GROUPS: frozenset[Group] = frozenset({"secrets", "personal"})
_log = logging.getLogger("ztfm.content")


class Decides(Protocol):
    """Decides on content; a `ControlPlane` of somebody with the role of a gateway does."""

    async def judge_content(self, report: ContentReport) -> ContentAnswer:
        """Ask what becomes of a prompt or an answer."""
        ...


class ContentJudge:
    """Implements `adapters.gateway.interfaces.Judge`. No answer is kept: each content is decided on by itself.

    Args:
        plane: decides.
        classifiers: all look at everything; the rules that ship where none is named.
        probing: remembers what subjects asked.
        pacing: slows them down.
        max_chars: of the texts that are judged at once; more is denied.
        look_seconds: for looking at them.
        at_once: texts that are looked at, or wait for it.
        clock: Unix seconds.
        timer: seconds that do not go back.
    """

    def __init__(
        self,
        plane: Decides,
        classifiers: Sequence[Classifier] | None = None,
        *,
        probing: Probing | None = None,
        pacing: Pacing | None = None,
        max_chars: int = MAX_CHARS,
        look_seconds: float = LOOK_SECONDS,
        at_once: int = AT_ONCE,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plane = plane
        self._looking = Looking([Rules()] if classifiers is None else classifiers, max_chars, look_seconds, at_once)
        self._probing = probing or Probing(clock)
        self._pacing = pacing or Pacing(timer)

    def close(self) -> None:
        """Let go of the threads."""
        self._looking.close()

    async def judge(self, admitted: Admitted, direction: Direction, texts: Sequence[str]) -> Terms | Denied:
        """Return what becomes of a prompt, or of an answer. Never raises: where it cannot tell, nothing passes."""
        if direction == "prompt":
            wait = self._pacing.wait(admitted.subject)
            if wait > 0.0:
                return verdicts.too_often(wait)
        try:
            found = await self._looking.at_all(direction, looked_at(texts))
            if direction == "prompt":
                await self._remember(admitted, texts)
        except TooLong as error:
            return verdicts.too_long(str(error))
        except Exception as error:  # noqa: BLE001 - somebody else's classifier; logged, and nothing passes
            _log.error("content could not be looked at: %s", type(error).__name__)
            return verdicts.undecided("content_unread", "Nobody could look at the content.")
        findings = self._findings(admitted, found, len(texts))
        try:
            answer = await self._plane.judge_content(_report(admitted, direction, findings))
        except (ControlPlaneError, ValueError) as error:
            # What cannot be told either is nothing that anybody decided on.
            _log.error("content could not be decided on: %s", type(error).__name__)
            return verdicts.undecided("content_undecided", "The control plane could not be asked about the content.")
        verdict = verdicts.read(answer)
        if isinstance(verdict, Terms) and verdict.requests_per_minute is not None and direction == "prompt":
            self._pacing.slow(admitted.subject, verdict.requests_per_minute)
        return verdict

    def redacted(self, terms: Terms, direction: Direction, text: str) -> str:
        """Return a text with marks for what the terms want blacked out.

        Raises:
            Exception: whatever a classifier raises; the text must not pass then.
        """
        if not terms.redact or not text:
            return text
        return redacted(text, self._looking.at(direction, text).places, terms.redact)

    def redactor(self, terms: Terms, direction: Direction) -> StreamRedactor:
        """Return what blacks out one text of a stream."""
        return StreamRedactor(terms.redact, lambda text: self._looking.at(direction, text))

    async def _remember(self, admitted: Admitted, texts: Sequence[str]) -> None:
        if sum(map(len, texts)) <= INLINE_CHARS:
            self._probing.add(admitted.subject, admitted.named.resource, texts)
        else:
            await asyncio.to_thread(self._probing.add, admitted.subject, admitted.named.resource, texts)

    def _findings(self, admitted: Admitted, found: Sequence[Found], texts: int) -> Findings:
        subject, model = admitted.subject, admitted.named.resource
        near, coverage = self._probing.seen(subject, model)
        secrets, personal = counted([place for one in found[:texts] for place in one.places])
        score = max((one.injection for one in found), default=0.0)
        return Findings(score, secrets, personal, near, coverage)


def _report(admitted: Admitted, direction: Direction, findings: Findings) -> ContentReport:
    claims = admitted.claims
    return ContentReport(
        subject=admitted.subject,
        model=admitted.named.resource,
        capability=claims.jti,
        issued_at=float(claims.iat),
        direction=direction,
        findings=ContentFindings(
            injection=findings.injection,
            secrets=min(_MOST, findings.secrets),
            personal={kind: min(_MOST, many) for kind, many in findings.personal.items()},
            near_duplicate=findings.near_duplicate,
            coverage=findings.coverage,
        ),
    )
