"""``did:web`` for the resolver: fetched from those who were named beforehand, bounded, and read strictly.

No redirect is followed, nothing large is read, and no address is reached that should not be. Plain HTTP is spoken with
``localhost`` alone, in a lab.
"""

import ssl
from collections.abc import Callable, Collection

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from controlplane.identifiers.dids import DidInvalid
from controlplane.identifiers.didweb import DocumentInvalid, Place, place_of, read_document
from controlplane.identifiers.documents import DidDocument
from controlplane.identity.resolving.interface import Found, NotResolved
from controlplane.identity.resolving.reaching import AddressRefused, GuardedNames, Reach

FETCH_SECONDS = 5.0
MAX_DOCUMENT_BYTES = 64 * 1024

_TYPES = {
    "application/did",
    "application/did+json",
    "application/did+ld+json",
    "application/json",
    "application/ld+json",
}
_GONE = (404, 410)


def _nobody(_did: str) -> DidDocument | None:
    return None


class WebMethod:
    """Fetches documents of organisations. Belongs to one event loop.

    Args:
        allowed: DIDs that may be asked about; whoever asks cannot make the server fetch from anybody else.
        reach: addresses that are reached.
        own: returns the document of a DID that is our own, which is not fetched.
        tls: verifies servers; none for the system's authorities.
        names: resolves names; none for the system's own way.
    """

    name = "web"

    def __init__(
        self,
        allowed: Collection[str],
        reach: Reach = "public",
        *,
        own: Callable[[str], DidDocument | None] = _nobody,
        tls: ssl.SSLContext | None = None,
        names: AbstractResolver | None = None,
    ) -> None:
        self._allowed = frozenset(allowed)
        self._reach: Reach = reach
        self._own = own
        self._tls = tls
        self._names = GuardedNames(reach, names)
        self._session: aiohttp.ClientSession | None = None

    def is_computed(self, did: str) -> bool:
        """Our own is."""
        return self._own(did) is not None

    def check(self, did: str) -> None:
        """Return if it is a ``did:web`` that may be asked about.

        Raises:
            NotResolved: ``invalidDid`` or ``notAllowed``.
        """
        place = self._place(did)
        if self._own(did) is not None:
            return
        if did not in self._allowed:
            raise NotResolved("notAllowed", f"{did} is none of the organisations that ZTFM_DID_WEB_ORGANISATIONS names")
        if place.is_local and self._reach != "lab":
            raise NotResolved("notAllowed", "localhost is asked where ZTFM_DID_WEB_REACH is lab, and nowhere else")

    async def resolve(self, did: str) -> Found:
        """Return what counts of the document that the DID's server has.

        Raises:
            NotResolved: there is none, or it cannot be had or used.
        """
        own = self._own(did)
        if own is not None:
            return Found(own)
        place = self._place(did)
        raw = await self._fetch(place.url("http" if place.is_local else "https"))
        try:
            return Found(read_document(did, raw))
        except DocumentInvalid as error:
            raise NotResolved("invalidDidDocument", f"what {place.url()} has cannot be used: {error}") from None

    async def close(self) -> None:
        """Give back the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None
        await self._names.close()

    def _place(self, did: str) -> Place:
        try:
            return place_of(did)
        except DidInvalid as error:
            raise NotResolved("invalidDid", str(error)) from None

    async def _fetch(self, url: str) -> bytes:
        try:
            async with self._opened().get(URL(url, encoded=True), allow_redirects=False) as answer:
                return await _body(url, answer)
        except TimeoutError:
            raise NotResolved("internalError", f"{url} gave no answer within {FETCH_SECONDS:g} s") from None
        except aiohttp.ClientSSLError:
            raise NotResolved("internalError", f"the certificate of {url} does not verify") from None
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, AddressRefused):
                raise NotResolved("notAllowed", f"{error.os_error}: ZTFM_DID_WEB_REACH says which are") from None
            raise NotResolved("internalError", f"{url} cannot be reached") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NotResolved(
                "internalError", f"{url} gave no answer that can be read ({type(error).__name__})"
            ) from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=self._names,
                use_dns_cache=False,
                force_close=True,
                ssl=True if self._tls is None else self._tls,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=FETCH_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept": ", ".join(sorted(_TYPES)), "Accept-Encoding": "identity", "User-Agent": "ztfm"},
                auto_decompress=False,
            )
        return self._session


async def _body(url: str, answer: aiohttp.ClientResponse) -> bytes:
    if answer.status in _GONE:
        raise NotResolved("notFound", f"{url} does not exist ({answer.status})")
    if answer.status != 200:
        raise NotResolved("internalError", f"{url} answers {answer.status}; no redirect is followed")
    if answer.content_type not in _TYPES or "Content-Encoding" in answer.headers:
        raise NotResolved("invalidDidDocument", f"{url} answers with something that is no plain JSON")
    body = bytearray()
    async for chunk in answer.content.iter_chunked(16_384):
        body += chunk
        if len(body) > MAX_DOCUMENT_BYTES:
            raise NotResolved("invalidDidDocument", f"{url} has more than {MAX_DOCUMENT_BYTES:,} bytes")
    return bytes(body)
