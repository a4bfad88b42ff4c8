"""Take part in a job as a device: what is the same whatever carries it. Without torch."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from adapters.credentials import Credentials, RoundTerms
from adapters.errors import ControlPlaneError, Denied, Exposing, Forbidden, Unavailable
from adapters.jobs.tensorfile import file_digest, file_norm, read_stored
from adapters.member import Member
from adapters.site import Vetoed
from controlplane.contracts.privacy import PrivacyTerms

TENSORS = "application/vnd.safetensors"
SUMMING = "application/vnd.ztfm.secure-sum"

Train = Callable[[Path, Path, "Announced"], int]
"""From the file of the weights, the file to write the update to (trained minus received), and the round: trains, and
returns on how many examples."""

_PAUSE_SECONDS = 0.5

_RENEWALS = 2
"""Of an update's credentials in one round."""

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

    @property
    def is_summed(self) -> bool:
        """Whether the round takes updates in secure sums alone, as the aggregator says.

        Who is told otherwise shows nothing for it: what the device's own capability says counts (`Exposing`).
        """
        return self.document.get("confidentiality") == "grouped"

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
        except (KeyError, TypeError, ValueError, OverflowError):
            raise Unavailable("what came announces no round: is this the aggregator's address?") from None


class Released(NamedTuple):
    """What may be sent, and with what.

    Attributes:
        shown: the credentials.
        update: the file.
        digest: of its tensors.
    """

    shown: Credentials
    update: Path
    digest: str


class Participant(ABC):
    """A member of a job.

    Args:
        member: the enrolled device.
    """

    def __init__(self, member: Member) -> None:
        self._member = member
        self._noised: dict[str, PrivacyTerms] = {}

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

    def add_up(self, terms: RoundTerms, update: Path, examples: int) -> str:
        """Add an update to the secure sum of the device's group, and return the digest of what was sent.

        Args:
            terms: of the round.
            update: as for `submit`; every update weighs the same.
            examples: training examples behind it, which are not sent.

        Raises:
            Exposing: no sums are made over this transport.
            ControlPlaneError: as `submit`; `Unavailable` when the sum goes on without this device, or comes to nothing.
            UnfitFileError: the file is no safetensors file that can be screened.
            OSError: it cannot be read.
        """
        del update, examples
        raise Exposing(f"updates of {terms.model} are summed securely or not sent, and not over this transport")

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

    @contextmanager
    def _released(self, terms: RoundTerms, update: Path, digest: str) -> Iterator[Released]:
        """Give what an update may be sent with, and the file to send: a noised one, where policy asks for noise.

        Raises:
            ControlPlaneError: policy says no; `Unavailable` of these when noise is asked for that cannot be made here.
            UnfitFileError: the update cannot be clipped.
            OSError: a file cannot be read or written.
        """
        sent, noised = update, update.with_name(f"{update.name}.noised")

        def noise(asked: PrivacyTerms) -> str:
            nonlocal sent, digest
            sent, digest = noised, _noised_digest(update, noised, asked)
            self._noised = {digest: asked}
            return digest

        try:
            shown = self._member.release(terms, digest, noise)
            yield Released(shown, sent, digest)
        finally:
            noised.unlink(missing_ok=True)

    def _shown_again(self, terms: RoundTerms, digest: str) -> Credentials:
        """Return what an update that was sent may be shown with once more."""
        return self._member.submit_again(terms, digest, self._noised.get(digest))

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
        done, start, renewals = None, now.start, 0
        self.announce(now.audience)
        while now.state not in ("ended", "stopped"):
            if now.start != start:
                # The job was started again, and knows nobody yet.
                start = now.start
                self.announce(now.audience)
            terms = now.terms
            if terms is not None and now.state == "open" and terms.round_id != done:
                done, renewals = terms.round_id, _RENEWALS
                digest = self._trained(train, folder, now, terms)
                sent += bool(digest)
                if not digest:
                    # Whoever sent an update is invited again; whoever did not has to say that it is there.
                    self._announce_again(now.audience)
            elif terms is not None and digest and self._member.id in now.renew and renewals:
                # Each may be charged for anew: an aggregator that asks again and again would use up a budget.
                renewals -= 1
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
            send = self.add_up if now.is_summed else self.submit
            return send(terms, update, examples)
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


def _noised_digest(update: Path, noised: Path, terms: PrivacyTerms) -> str:
    try:
        # NumPy is needed where noise is, and nowhere else on a small device.
        from adapters.privacy.files import noised_file
    except ImportError as error:
        raise Unavailable(f"policy asks for noise, which needs NumPy ({error}): pip install numpy") from None
    noised_file(update, noised, terms)
    return file_digest(noised, read_stored(noised))
