"""Ask a control plane over HTTP, for commands that look: bounded in time and size, and told why it does not answer."""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import aiohttp

from controlplane.capabilities.channels import client_context
from controlplane.capabilities.errors import KeyFileError
from controlplane.capabilities.keyfiles import read_private
from controlplane.capabilities.proof import make_proof
from controlplane.jose.keys import DeviceKey
from controlplane.settings import is_safe_url

ASK_SECONDS = 5.0
MAX_ANSWER_BYTES = 8 * 1024 * 1024

_IDENTITY, _KEY = "identity.json", "key.pem"
"""What an enrolled device keeps in its folder (`adapters.enrolment`)."""


class Unanswered(Exception):  # noqa: N818 - a state, as callers see it
    """What was asked for cannot be had now. The message says why, and what to do where that is known."""


class Refused(Unanswered):
    """It answers, and not with what was asked for.

    Attributes:
        status: of the answer.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Away(Unanswered):
    """Nobody answers there at all."""


Headers = Callable[[str, str | None], Mapping[str, str]]
"""Returns the headers that say who asks for a URL, with the nonce that the other side asked for."""


@dataclass(frozen=True)
class Identity:
    """Who asks.

    Attributes:
        name: as decisions record it; empty where it is not known here.
        headers: for each request.
        url: where it is known; empty where it does not say.
    """

    name: str
    headers: Headers
    url: str = ""


def bearer(token: str) -> Identity:
    """Return whoever holds a token, a person's of their provider or that of the metrics; it is sent safely or not."""

    def show(url: str, _nonce: str | None) -> Mapping[str, str]:
        if not is_safe_url(url):
            raise Unanswered("a token is sent over https:// alone, or over http:// on loopback: name such a URL")
        return {"Authorization": f"Bearer {token}"}

    return Identity("", show)


def nobody() -> Identity:
    """Return somebody who shows nothing."""
    return Identity("", lambda _url, _nonce: {})


def enrolled(folder: Path) -> Identity:
    """Return who was enrolled in a folder.

    Raises:
        Unanswered: nobody was, or the files cannot be used.
    """
    try:
        pem, stated = read_private(folder / _KEY), read_private(folder / _IDENTITY)
        if pem is None or stated is None:
            raise Unanswered(
                f"nobody was enrolled in {folder}: `python -m adapters.enrol {folder} URL --role operator`"
            )
        key, known = DeviceKey.from_pem(pem), json.loads(stated)
        name, url = str(known["id"]), str(known["url"])
    except (KeyFileError, OSError, ValueError, LookupError, TypeError) as error:
        raise Unanswered(f"what {folder} holds of an enrolled operator cannot be used: {error}") from None

    def prove(target: str, nonce: str | None) -> Mapping[str, str]:
        return {"DPoP": make_proof(key, method="GET", url=target, now=time.time(), nonce=nonce)}

    return Identity(name, prove, url)


def token_in(path: Path) -> Identity:
    """Return whoever holds the token of a file.

    Raises:
        Unanswered: the file cannot be read, or holds none.
    """
    try:
        token = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        remedy = "serve the state folder once, or name another with --state-dir"
        raise Unanswered(f"the token in {path} cannot be read ({error.__class__.__name__}): {remedy}") from None
    if not token or not token.isascii() or not token.isprintable():
        raise Unanswered(f"{path} holds no token")
    return bearer(token)


class Asked:
    """A control plane at a URL. Belongs to one event loop; close it.

    Args:
        url: its public URL where a key proves who asks: proofs name it.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None
        self._nonce: str | None = None

    async def close(self) -> None:
        """Give back the connections."""
        if self._session is not None:
            await self._session.close()

    async def get(
        self, path: str, who: Identity, welcome: tuple[int, ...] = (HTTPStatus.OK,), most: int = MAX_ANSWER_BYTES
    ) -> bytes:
        """Return the answer to one question, of at most so many bytes.

        Raises:
            Away: nobody answers.
            Refused: with another status.
            Unanswered: it cannot be asked, or the answer is too large.
        """
        used = self._nonce
        status, headers, body = await self._try(path, who, most)
        given = headers.get("DPoP-Nonce")
        if given is not None:
            # Others that were asked at the same time may have learnt it before.
            is_asked_for = given != used and "use_dpop_nonce" in headers.get("WWW-Authenticate", "")
            self._nonce = given
            if status == HTTPStatus.UNAUTHORIZED and is_asked_for:
                status, headers, body = await self._try(path, who, most)
        if status not in welcome:
            raise Refused(_refusal(path, status, body), status)
        return body

    async def _try(self, path: str, who: Identity, most: int) -> tuple[int, Mapping[str, str], bytes]:
        url = self.url + path
        try:
            sent = who.headers(url.partition("?")[0], self._nonce)
            async with self._opened().get(url, headers=sent, allow_redirects=False) as answer:
                body = b""
                async for chunk in answer.content.iter_any():
                    body += chunk
                    if len(body) > most:
                        raise Unanswered(f"the answer to {path} is larger than {most:,} bytes")
                return answer.status, answer.headers, body
        except TimeoutError:
            raise Away(f"nothing at {self.url} answers within {ASK_SECONDS:g} s") from None
        except aiohttp.ClientSSLError as error:
            remedy = "name its authority's certificate with SSL_CERT_FILE"
            raise Away(f"the certificate of {self.url} does not verify ({error}): {remedy}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Away(f"nothing at {self.url} answers: {_plain(error)}") from None
        except ValueError as error:
            raise Unanswered(f"{self.url} is no URL of a control plane: {error}") from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            total = aiohttp.ClientTimeout(total=ASK_SECONDS)
            connector = aiohttp.TCPConnector(ssl=client_context())
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=total, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


def _plain(error: Exception) -> str:
    """Return the fault without what names the place twice."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else str(error) or type(error).__name__


def _refusal(path: str, status: int, body: bytes) -> str:
    """Return in one line what a problem document says (RFC 9457), and its remedies."""
    try:
        problem = json.loads(body)
        said = [problem["title"], *(reason["remedy"] for reason in problem.get("reasons", []))]
        if status == HTTPStatus.UNAUTHORIZED:
            said.append("Compare the URL with its public URL, and the clocks.")
        text = " ".join(str(one).rstrip(".") + "." for one in said)
    except (ValueError, LookupError, TypeError):
        text = "It says no more: is it a control plane?"
    return f"{path.partition('?')[0]} is answered with {status}. {text}"
