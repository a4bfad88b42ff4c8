"""Take part in a job over HTTP, from Python: what a small device needs, without torch.

Example:
    with Member.open(Path("keys/device-7")) as member, HttpClient(member, "http://127.0.0.1:8290") as client:
        client.take_part(train, Path("work"))  # train(weights, update, terms) -> examples
"""

import hashlib
import http.client
import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

from adapters.credentials import Credentials, RoundTerms
from adapters.errors import ControlPlaneError, Unavailable
from adapters.http.signing import RequestSigner, read_content_digest, write_content_digest
from adapters.jobs.taking_part import SUMMING, TENSORS, Announced, Participant, Train
from adapters.jobs.tensorfile import UnfitFileError, content_sha256, file_digest, read_stored
from adapters.member import Member
from adapters.sealed.demanded import announced_key, sealed_to
from adapters.sealed.updates import SEALED_UPDATE, seal_update
from adapters.wire import read_problem
from controlplane.capabilities.channels import client_context
from controlplane.confidentiality.errors import SealRefused

_ANSWER_BYTES = 8 * 1024 * 1024
_CHUNK_BYTES = 256 * 1024
_TIMEOUT_SECONDS = 60.0


__all__ = ["Announced", "HttpClient", "Train"]


class HttpClient(Participant):
    """A member of a job at an aggregator. A context manager, for one thread at a time.

    Args:
        member: the enrolled device.
        url: the aggregator's public URL, exactly as it calls itself: signatures name it.
        timeout_seconds: for each wait on the network.
        clock: Unix seconds.
        tls: how the aggregator's certificate is verified; none for the system's authorities and TLS 1.3.

    Raises:
        ValueError: the URL is no ``http`` or ``https`` URL.
    """

    def __init__(
        self,
        member: Member,
        url: str,
        *,
        timeout_seconds: float = _TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.time,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no URL of an aggregator")
        super().__init__(member)
        self._url = url.rstrip("/")
        self._prefix = parts.path.rstrip("/")
        at: dict[str, Any] = {"host": parts.hostname, "port": parts.port, "timeout": timeout_seconds}
        self._connection = (
            http.client.HTTPSConnection(**at, context=tls or client_context())
            if parts.scheme == "https"
            else http.client.HTTPConnection(**at)
        )
        self._clock = clock

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connection; the member stays open."""
        self._connection.close()

    def headers_of(self, credentials: Credentials) -> dict[str, str]:
        """Return the headers that show credentials (RFC 9449 section 7.1)."""
        return {"Authorization": f"DPoP {credentials.capability}", "DPoP": credentials.proof}

    def current(self, after: str | None = None) -> Announced:
        """Return how the job stands; with a version, wait a while for another."""
        query = "" if after is None else f"?after={quote(after, safe='')}"
        found = self._ask("GET", f"/v1/rounds/current{query}")
        try:
            return Announced.of(json.loads(found))
        except (ValueError, RecursionError):
            raise Unavailable("the answer is no JSON: is this the aggregator's URL?") from None

    def announce(self, audience: str) -> None:
        """Ask to be invited to the next round.

        Raises:
            ControlPlaneError: the aggregator refuses.
        """
        body = json.dumps(self._member.introduce(audience).to_dict()).encode()
        self._ask("POST", "/v1/members", body, {"Content-Type": "application/json"})

    def pull(self, terms: RoundTerms, path: Path) -> None:
        """Put the weights of a round into a file.

        Raises:
            ControlPlaneError: policy or the aggregator says no, or what came is not what was announced.
            OSError: the file cannot be written.
        """
        headers = self.headers_of(self._member.pull(terms))
        answer = self._request("GET", f"/v1/models/{quote(terms.model, safe='')}", None, headers)
        if answer.status != 200:
            raise self._problem(answer, self._read(answer, _ANSWER_BYTES))
        digest = hashlib.sha256()
        with path.open("wb") as file:
            while chunk := self._read(answer, _CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
        stated = read_content_digest(answer.headers.get_all("Content-Digest", []))
        try:
            found = file_digest(path, read_stored(path))
        except UnfitFileError as error:
            raise Unavailable(f"the weights cannot be read: {error}") from None
        if digest.digest() != stated or found != terms.model_digest:
            raise Unavailable("the weights are not those of the round: they were changed on their way")

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
        trained = self._described(update, int(examples))
        with (
            self._released(terms, update, trained) as released,
            self._as_demanded(released.update, terms, released.shown) as (sent, kind),
        ):
            # How many examples there were is told of what is told in full alone.
            told = int(examples) if released.update == update else 1
            path = f"/v1/rounds/{quote(terms.round_id, safe='')}/updates?examples={told}"
            headers = {
                **self.headers_of(released.shown),
                "Content-Type": kind,
                "Content-Length": str(sent.stat().st_size),
                "Content-Digest": write_content_digest(content_sha256(sent)),
            }
            with sent.open("rb") as file:
                # The member may have another key than when this was made.
                signed = RequestSigner(self._member.key, self._clock).sign("POST", self._url + path, headers)
                self._ask("POST", path, file, signed)
            return released.digest

    def add_up(self, terms: RoundTerms, update: Path, examples: int) -> str:
        """As `Participant.add_up`. It needs NumPy: on a device, ``pip install numpy`` beside ``ztfm[http]``."""
        try:
            from adapters.http.adding import add_up
        except ImportError as error:
            raise Unavailable(f"secure sums need NumPy ({error}): pip install numpy") from None
        return add_up(self._member, self._summing, terms, update, int(examples))

    def _summing(self, method: str, path: str, body: bytes, shown: Credentials) -> bytes:
        """Send a signed request of a sum, and return what comes back."""
        headers = {
            **self.headers_of(shown),
            "Content-Type": SUMMING,
            "Content-Digest": write_content_digest(hashlib.sha256(body).digest()),
        }
        signed = RequestSigner(self._member.key, self._clock).sign(method, self._url + path, headers)
        return self._ask(method, path, body or None, signed)

    def renew(self, terms: RoundTerms, digest: str) -> None:
        """Show fresh credentials for an update that was sent a while ago.

        Raises:
            ControlPlaneError: policy or the aggregator says no.
        """
        headers = {**self.headers_of(self._shown_again(terms, digest)), "Content-Length": "0"}
        self._ask("PUT", f"/v1/rounds/{quote(terms.round_id, safe='')}/credentials", None, headers)

    @contextmanager
    def _as_demanded(self, update: Path, terms: RoundTerms, shown: Credentials) -> Iterator[tuple[Path, str]]:
        """Give the file to send and its media type: the update as it is, or sealed where the capability asks for it."""
        demanded = sealed_to(shown.capability)
        if demanded is None:
            yield update, TENSORS
            return
        key = announced_key(self.current().document, demanded)
        sealed = update.with_name(f"{update.name}.sealed")
        try:
            seal_update(update, sealed, key, terms=terms, subject=self._member.id)
            yield sealed, SEALED_UPDATE
        except SealRefused as error:
            raise Unavailable(f"the update cannot be sealed to the aggregator's key: {error}") from None
        finally:
            sealed.unlink(missing_ok=True)

    def _ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> bytes:
        answer = self._request(method, path, body, headers or {})
        found = self._read(answer, _ANSWER_BYTES)
        if answer.status >= 400:
            raise self._problem(answer, found)
        return found

    def _problem(self, answer: http.client.HTTPResponse, body: bytes) -> ControlPlaneError:
        return read_problem(answer.status, body, answer.headers.get("Retry-After", ""))

    def _read(self, answer: http.client.HTTPResponse, size: int) -> bytes:
        try:
            return answer.read(size)
        except (OSError, http.client.HTTPException) as error:
            raise self._away(error) from None

    def _away(self, error: Exception) -> Unavailable:
        return Unavailable(f"the aggregator at {self._url} does not answer: {error}")

    def _request(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        # A kept connection may have been closed meanwhile; a fresh one never was.
        self._connection.close()
        try:
            self._connection.request(method, self._prefix + path, body, dict(headers))
            return self._connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise self._away(error) from None
