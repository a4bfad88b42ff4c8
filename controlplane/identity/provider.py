"""The keys of an identity provider: fetched, bounded, remembered, and never waited for by those who know their key.

OpenID Connect Discovery 1.0 section 4; keys are looked for again when a token names an unknown one, but not often.
"""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote_plus, urlsplit

import aiohttp
from yarl import URL

from controlplane.contracts.identity import Person
from controlplane.contracts.unambiguous import refuse_deep
from controlplane.identity.people import Expected, ProviderKey, Unknown, key_of, read_person, read_provider_keys

FETCH_SECONDS = 5.0
MAX_DOCUMENT_BYTES = 256 * 1024
FRESH_SECONDS = 600.0
"""After so long the keys are looked for again, beside the requests that still use them."""

TRUSTED_SECONDS = 3600.0
"""After so long without a look that worked, the keys are not used any more: one of them may have been withdrawn."""

PAUSE_SECONDS = 10.0
"""Between two looks, whatever unknown keys tokens name."""


class ProviderUnavailable(Exception):  # noqa: N818 - a state, as callers see it
    """The provider's keys cannot be had, so nobody can be told from a stranger."""


class KeySource(Protocol):
    """Where a provider's key set is."""

    async def fetch(self) -> object:
        """Return the parsed key set.

        Raises:
            ProviderUnavailable: it cannot be had.
        """
        ...

    async def close(self) -> None:
        """Give back what was held."""
        ...


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a provider is asked.

    Attributes:
        authorization: where people sign in.
        token: where a code is exchanged.
    """

    authorization: str
    token: str


class KeyFile:
    """A provider's key set in a file.

    Args:
        path: JSON (RFC 7517 section 5).
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def fetch(self) -> object:
        """Return the parsed key set."""
        try:
            return _parse(await asyncio.to_thread(self._read))
        except OSError as error:
            raise ProviderUnavailable(f"{self._path} cannot be read: {error.strerror}") from None

    async def close(self) -> None:
        """Nothing is held."""

    def _read(self) -> bytes:
        with self._path.open("rb") as file:
            return file.read(MAX_DOCUMENT_BYTES + 1)


class Discovery:
    """A provider's key set, found through its metadata. No redirect is followed, and nothing large is read.

    Args:
        issuer: the provider; its metadata must name it, character by character.
    """

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self) -> object:
        """Return the parsed key set."""
        async with self._asking("no keys"):
            return await self._get(self._named(await self._metadata(), "jwks_uri"))

    async def endpoints(self) -> Endpoints:
        """Return where people sign in, and where their codes are exchanged, as the provider says now.

        Raises:
            ProviderUnavailable: it does not say.
        """
        async with self._asking("no endpoints"):
            metadata = await self._metadata()
            return Endpoints(self._named(metadata, "authorization_endpoint"), self._named(metadata, "token_endpoint"))

    async def exchange(self, form: Mapping[str, str], secret: str | None = None) -> object:
        """Return what the provider gives for a code (RFC 6749 section 4.1.3).

        Args:
            form: the request.
            secret: by which it knows us (section 2.3.1); none for a public client.

        Raises:
            ProviderUnavailable: it gives nothing, or cannot be asked.
        """
        async with self._asking("no token"):
            endpoint = self._named(await self._metadata(), "token_endpoint")
            known = {} if secret is None else {"Authorization": _basic(form["client_id"], secret)}
            return await self._read("POST", endpoint, data=dict(form), headers=known)

    async def close(self) -> None:
        """Give back the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    @asynccontextmanager
    async def _asking(self, lacks: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                yield
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ProviderUnavailable(f"{self._issuer} gives {lacks} ({type(error).__name__})") from None

    async def _metadata(self) -> Mapping[str, object]:
        metadata = await self._get(self._issuer.rstrip("/") + "/.well-known/openid-configuration")
        if not isinstance(metadata, Mapping) or metadata.get("issuer") != self._issuer:
            raise ProviderUnavailable("the provider's metadata names another issuer")
        return metadata

    def _named(self, metadata: Mapping[str, object], name: str) -> str:
        found = metadata.get(name)
        # Never less safe than the issuer itself: a key set over plain HTTP could be anybody's.
        if not isinstance(found, str) or not _is_as_safe(found, self._issuer):
            raise ProviderUnavailable(f"the provider's metadata names no {name} that can be used")
        return found

    async def _get(self, url: str) -> object:
        return await self._read("GET", url)

    async def _read(self, method: str, url: str, **options: Any) -> object:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept": "application/json", "Accept-Encoding": "identity"},
                auto_decompress=False,
            )
        async with self._session.request(method, URL(url, encoded=True), allow_redirects=False, **options) as answer:
            if answer.status != 200:
                raise ProviderUnavailable(f"the provider answers {answer.status}")
            body = bytearray()
            async for chunk in answer.content.iter_chunked(16_384):
                body += chunk
                if len(body) > MAX_DOCUMENT_BYTES:
                    raise ProviderUnavailable("the provider's answer is too large")
            return _parse(bytes(body))


class People:
    """Says which person a bearer token speaks of.

    Args:
        source: the provider's keys.
        expected: what tokens must say.
        clock: Unix seconds.
        timer: seconds that never step back.
        observe: told ``ok`` or ``failed`` after each look for keys.
    """

    def __init__(
        self,
        source: KeySource,
        expected: Expected,
        clock: Callable[[], float],
        timer: Callable[[], float],
        observe: Callable[[str], None] = lambda _result: None,
    ) -> None:
        self._source = source
        self._expected = expected
        self._clock = clock
        self._timer = timer
        self._observe = observe
        self._keys: dict[str, ProviderKey] = {}
        self._learnt_at: float | None = None
        self._looked_at: float | None = None
        self._looking: asyncio.Task[None] | None = None

    async def identify(self, token: str, expected: Expected | None = None) -> Person | Unknown:
        """Return the person of a token, or why it does not hold.

        Args:
            token: compact JWT.
            expected: what it must say, where that is not what others must.

        Raises:
            ProviderUnavailable: the provider's keys cannot be had.
        """
        named = key_of(token)
        if isinstance(named, Unknown):
            return named
        key = await self._key(named)
        if key is None:
            return Unknown("person_unknown_key")
        return read_person(token, key, expected or self._expected, self._clock())

    async def close(self) -> None:
        """End what is under way."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})
        await self._source.close()

    async def _key(self, name: str) -> ProviderKey | None:
        key = self._keys.get(name) if self._is_trusted() else None
        if key is None:
            if self._may_look():
                await self._look()
            elif self._looking is not None:
                await asyncio.shield(self._looking)
            if not self._is_trusted():
                raise ProviderUnavailable("the provider's keys cannot be had")
            return self._keys.get(name)
        if not self._is_within(FRESH_SECONDS) and self._may_look():
            self._begin()
        return key

    async def _look(self) -> None:
        # One caller's cancellation must not cancel the look of the others.
        await asyncio.shield(self._begin())

    def _begin(self) -> "asyncio.Task[None]":
        self._looked_at = self._timer()
        self._looking = asyncio.create_task(self._learn(), name="provider-keys")
        return self._looking

    async def _learn(self) -> None:
        try:
            self._keys = read_provider_keys(await self._source.fetch())
        except (ProviderUnavailable, ValueError):
            self._observe("failed")
        else:
            self._learnt_at = self._timer()
            self._observe("ok")
        finally:
            self._looking = None

    def _may_look(self) -> bool:
        is_due = self._looked_at is None or self._timer() - self._looked_at >= PAUSE_SECONDS
        return self._looking is None and is_due

    def _is_trusted(self) -> bool:
        return self._is_within(TRUSTED_SECONDS)

    def _is_within(self, seconds: float) -> bool:
        return self._learnt_at is not None and self._timer() - self._learnt_at < seconds


def _parse(body: bytes) -> Any:
    if len(body) > MAX_DOCUMENT_BYTES:
        raise ProviderUnavailable("the key set is too large")
    try:
        refuse_deep(body)
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ProviderUnavailable("the provider's answer is no JSON") from None


def _basic(client: str, secret: str) -> str:
    shown = f"{quote_plus(client)}:{quote_plus(secret)}"
    return "Basic " + b64encode(shown.encode()).decode()


def _is_as_safe(url: str, issuer: str) -> bool:
    found, own = urlsplit(url), urlsplit(issuer)
    return found.scheme == "https" or (found.scheme == own.scheme and found.hostname == own.hostname)
