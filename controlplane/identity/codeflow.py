"""People sign in with their provider: the authorization code flow with PKCE (OpenID Connect Core 1.0 section 3.1).

RFC 7636 (PKCE, S256 alone), RFC 9700 (one redirect address, one use of each state), RFC 6749 section 4.1.
"""

import hashlib
import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode, urlsplit

from controlplane.contracts.identity import Person
from controlplane.identity.people import Expected, Unknown
from controlplane.identity.provider import Discovery, People, ProviderUnavailable

MAX_CODE_CHARS = 2048
SIGN_IN_SECONDS = 600.0
"""How long somebody may take at the provider."""

RETURN_PATH = "/v1/console/oidc/callback"
"""Where the provider sends people back to, beside the page; it has to know the address beforehand."""

_RANDOM_BYTES = 32


@dataclass(frozen=True, slots=True)
class SignIn:
    """A sign-in that has begun: what its browser alone keeps until it is back.

    Attributes:
        state: ties the answer to this browser.
        nonce: ties the token to this sign-in.
        verifier: ties the code to whoever asked for it.
        leads_to: where in the console it goes on.
        back: where the provider sends the browser back to.
        until: after which it is over, Unix seconds.
    """

    state: str
    nonce: str
    verifier: str
    leads_to: str
    back: str
    until: float

    def __repr__(self) -> str:
        return "SignIn()"

    def packed(self) -> bytes:
        """Return it as bytes, to be sealed."""
        return json.dumps([self.state, self.nonce, self.verifier, self.leads_to, self.back, self.until]).encode()

    @classmethod
    def unpacked(cls, raw: bytes) -> "SignIn":
        """Return what `packed` returned."""
        return cls(*json.loads(raw))

    @property
    def digest(self) -> str:
        """Its name where it is noted that it was used."""
        return hashlib.sha256(self.state.encode()).hexdigest()


class CodeFlow:
    """Sends people to their provider, and learns from it who came back.

    Args:
        discovery: asks the provider.
        people: verifies its tokens.
        expected: what tokens must say; the audience is our client.
        clock: Unix seconds.
        client_secret: by which the provider knows us; none for a public client.
    """

    def __init__(
        self,
        discovery: Discovery,
        people: People,
        expected: Expected,
        clock: Callable[[], float],
        client_secret: str | None = None,
    ) -> None:
        self._discovery = discovery
        self._people = people
        self._expected = expected
        self._clock = clock
        self._client_secret = client_secret

    @property
    def issuer(self) -> str:
        """The provider."""
        return self._expected.issuer

    async def begin(self, leads_to: str, base_url: str) -> tuple[str, SignIn]:
        """Return where to send a browser, and what it must bring back.

        Args:
            leads_to: where in the console it goes on.
            base_url: of this control plane, as the browser reached it: its cookies are there, so it comes back there.

        Raises:
            ProviderUnavailable: the provider does not say where.
        """
        endpoints = await self._discovery.endpoints()
        until = self._clock() + SIGN_IN_SECONDS
        begun = SignIn(_random(), _random(), _random(), leads_to, base_url + RETURN_PATH, until)
        challenge = urlsafe_b64encode(hashlib.sha256(begun.verifier.encode()).digest()).rstrip(b"=").decode()
        asked = urlencode(
            {
                "response_type": "code",
                "client_id": self._expected.audience,
                "redirect_uri": begun.back,
                "scope": "openid",
                "state": begun.state,
                "nonce": begun.nonce,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            }
        )
        separator = "&" if urlsplit(endpoints.authorization).query else "?"
        return f"{endpoints.authorization}{separator}{asked}", begun

    def is_open(self, begun: SignIn, state: str) -> bool:
        """Whether a sign-in may still end, with this state."""
        return self._clock() < begun.until and secrets.compare_digest(begun.state.encode(), state.encode())

    async def end(self, begun: SignIn, code: str) -> Person | Unknown:
        """Return who came back with a code, or why what the provider says of them does not hold.

        Raises:
            ProviderUnavailable: the provider gives no token for it.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": begun.back,
            "client_id": self._expected.audience,
            "code_verifier": begun.verifier,
        }
        answer = await self._discovery.exchange(form, self._client_secret)
        token: Any = answer.get("id_token") if isinstance(answer, dict) else None
        if not isinstance(token, str):
            raise ProviderUnavailable("the provider's answer holds no token of who signed in")
        return await self._people.identify(token, replace(self._expected, nonce=begun.nonce))


def _random() -> str:
    return urlsafe_b64encode(secrets.token_bytes(_RANDOM_BYTES)).rstrip(b"=").decode()
