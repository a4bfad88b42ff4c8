"""Take part in a job as a device: what is the same whatever carries it. Without torch."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from adapters.credentials import RoundTerms
from adapters.errors import ControlPlaneError, Denied, Forbidden, Unavailable
from adapters.jobs.tensorfile import file_digest, file_norm, read_stored
from adapters.member import Member
from adapters.site import Vetoed

TENSORS = "application/vnd.safetensors"

Train = Callable[[Path, Path, "Announced"], int]
"""From the file of the weights, the file to write the update to (trained minus received), and the round: trains, and
returns on how many examples."""

_PAUSE_SECONDS = 0.5

_log = logging.getLogger("ztfm.jobs")


@dataclass(frozen=True)
class Announced:
    """How a job stands.

    Attributes:
        version: names this announcement.
        state: ``gathering``, ``open``, ``renewing``, ``judging``, ``ended`` or ``stopped``.
        audience: the aggregator's name in capabilities.
        terms: of the round that is open or being judged; none between rounds.
        closes_at: until when updates are taken in, in Unix seconds; 0 between rounds.
        size_bytes: of the file with the weights; 0 between rounds.
        renew: subjects whose capabilities ran out after they submitted.
        document: all of it.
    """

    version: str
    state: str
    audience: str
    terms: RoundTerms | None
    closes_at: float
    size_bytes: int
    renew: tuple[str, ...]
    document: Mapping[str, Any]

    @property
    def start(self) -> str:
        """Names the process that runs the job: another one has another."""
        return self.version.rpartition("-")[0]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Return an announcement as it came.

        Raises:
            Unavailable: it is none.
        """
        try:
            audience = str(document["audience"])
            terms = None
            if "round_id" in document:
                terms = RoundTerms(document["round_id"], document["model"], document["model_digest"], audience)
            return cls(
                version=str(document["version"]),
                state=str(document["state"]),
                audience=audience,
                terms=terms,
                closes_at=float(document.get("closes_at", 0.0)),
                size_bytes=int(document.get("size_bytes", 0)),
                renew=tuple(str(one) for one in document.get("renew", ())),
                document=document,
            )
        except (KeyError, TypeError, ValueError):
            raise Unavailable("what came announces no round: is this the aggregator's address?") from None


class Participant(ABC):
    """A member of a job.

    Args:
        member: the enrolled device.
    """

    def __init__(self, member: Member) -> None:
        self._member = member

    @abstractmethod
    def current(self, after: str | None = None) -> Announced:
        """Return how the job stands; with a version, wait a while for another."""

    @abstractmethod
    def announce(self, audience: str) -> None:
        """Ask to be invited to the next round.

        Raises:
            ControlPlaneError: the aggregator refuses.
        """

    @abstractmethod
    def pull(self, terms: RoundTerms, path: Path) -> None:
        """Put the weights of a round into a file.

        Raises:
            ControlPlaneError: policy or the aggregator says no, or what came is not what was announced.
            OSError: the file cannot be written.
        """

    @abstractmethod
    def submit(self, terms: RoundTerms, update: Path, examples: int) -> str:
        """Send an update and return its digest.

        Args:
            terms: of the round.
            update: safetensors file, trained minus received.
            examples: training examples behind it.

        Raises:
            ControlPlaneError: policy or the aggregator says no; `Conflict` when the round is over, or the update is
                there already.
            UnfitFileError: the file is no safetensors file that can be screened.
            OSError: it cannot be read.
        """

    @abstractmethod
    def renew(self, terms: RoundTerms, digest: str) -> None:
        """Show fresh credentials for an update that was sent a while ago.

        Raises:
            ControlPlaneError: policy or the aggregator says no.
        """

    def _described(self, update: Path, examples: int) -> str:
        """Return the digest of an update, and tell the device's site what it is; only a site has it measured.

        Raises:
            Vetoed: the site cannot keep it.
            UnfitFileError: the file is no safetensors file that can be screened.
            OSError: it cannot be read.
        """
        stored = read_stored(update)
        digest = file_digest(update, stored)
        if self._member.site is not None:
            self._member.describe(digest, norm=file_norm(update, stored), examples=examples)
        return digest

    def take_part(self, train: Train, folder: Path) -> int:
        """Take part until the job ends, and return in how many rounds an update was sent.

        What the aggregator refuses, or a control plane that is away, costs the round and no more.

        Args:
            train: trains once.
            folder: for the files of a round; made.

        Raises:
            Denied: policy does not let this device take part now.
            ControlPlaneError: the aggregator cannot be reached, or does not take this device.
            OSError: a file cannot be read or written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        now, sent, digest = self.current(), 0, ""
        done, start = None, now.start
        self.announce(now.audience)
        while now.state not in ("ended", "stopped"):
            if now.start != start:
                # The job was started again, and knows nobody yet.
                start = now.start
                self.announce(now.audience)
            terms = now.terms
            if terms is not None and now.state == "open" and terms.round_id != done:
                done = terms.round_id
                digest = self._trained(train, folder, now, terms)
                sent += bool(digest)
                if not digest:
                    # Whoever sent an update is invited again; whoever did not has to say that it is there.
                    self._announce_again(now.audience)
            elif terms is not None and digest and self._member.id in now.renew:
                self._renewed(terms, digest)
            now = self._next(now)
        return sent

    def _trained(self, train: Train, folder: Path, now: Announced, terms: RoundTerms) -> str:
        """Take part in one round; return the digest of what was sent, or nothing."""
        weights, update = folder / "weights.safetensors", folder / "update.safetensors"
        try:
            self._member.expect(terms.model_digest, now.size_bytes)
            self.pull(terms, weights)
            examples = train(weights, update, now)
            return self.submit(terms, update, examples)
        except ControlPlaneError as error:
            if isinstance(error, Denied) and not isinstance(error, Forbidden | Vetoed):
                raise
            _log.warning("round %s goes on without this device: %s", terms.round_id, error)
            return ""

    def _announce_again(self, audience: str) -> None:
        try:
            self.announce(audience)
        except Unavailable as error:
            # What the job shows next says whether there is one.
            _log.warning("this device could not say that it is there: %s", error)

    def _renewed(self, terms: RoundTerms, digest: str) -> None:
        try:
            self.renew(terms, digest)
        except ControlPlaneError as error:
            _log.warning("round %s goes on without this update: %s", terms.round_id, error)

    def _next(self, now: Announced) -> Announced:
        try:
            return self.current(now.version)
        except Unavailable:
            # One more try: a job that ended a moment ago is gone by now.
            time.sleep(_PAUSE_SECONDS)
            return self.current(now.version)
