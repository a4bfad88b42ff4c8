"""An OAuth client that knows nothing but the RFCs: forms, assertions, proofs and nonces."""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from controlplane.capabilities.assertions import make_assertion
from tests.support import MODEL, Caller, Reply

FORM = "application/x-www-form-urlencoded"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT = "urn:ietf:params:oauth:token-type:jwt"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

INFERENCE = {
    "type": "ztfm",
    "action": "inference",
    "resource_type": "model",
    "resource_id": MODEL,
    "inference": {"prompt_tokens": 4, "max_output_tokens": 8},
}


@dataclass
class OAuthClient:
    """A client that remembers the last nonce, as RFC 9449 section 8.2 has it."""

    caller: Caller
    nonce: str | None = field(default=None)

    def assertion(self, **changes: Any) -> str:
        stated = {"subject": self.caller.id, "audience": self.caller.plane.url, "now": self.caller.plane.clock()}
        made = make_assertion(self.caller.key, **{**stated, **changes})
        self.caller.plane.shown.append(made)
        return made

    def send(self, path: str, form: dict[str, Any] | list[tuple[str, str]], **options: Any) -> Reply:
        """Post a form once, with the nonce that is known."""
        proof = {"nonce": self.nonce, **options.pop("proof_changes", {})}
        made = options.pop("proof", None) or self.caller.plane.proof(self.caller.key, "POST", path, **proof)
        headers = {"Content-Type": FORM, **options.pop("headers", {})}
        reply = self.caller.plane.call(
            "POST", path, body=urlencode(form).encode(), proof=made, headers=headers, **options
        )
        self.nonce = reply.headers.get("DPoP-Nonce", self.nonce)
        return reply

    def token(self, form: dict[str, Any], **options: Any) -> Reply:
        """Ask the token endpoint, once more when it asks for a nonce."""
        if self.nonce is None:
            self.nonce = self.caller.plane.services.proving.nonces.current()
        return self.send("/oauth/token", form, **options)

    def exchange_form(self, details: Any = INFERENCE, **changes: Any) -> dict[str, Any]:
        form = {
            "grant_type": TOKEN_EXCHANGE,
            "subject_token": changes.pop("subject_token", None) or self.assertion(),
            "subject_token_type": JWT,
            "audience": "gateway-1",
            "authorization_details": details if isinstance(details, str) else json.dumps([details]),
            **changes,
        }
        return {name: value for name, value in form.items() if value is not None}

    def exchange(self, details: Any = INFERENCE, **changes: Any) -> Reply:
        return self.token(self.exchange_form(details, **changes))

    def credentials_form(self, **changes: Any) -> dict[str, Any]:
        form = {
            "grant_type": "client_credentials",
            "client_assertion": changes.pop("client_assertion", None) or self.assertion(),
            "client_assertion_type": JWT_BEARER,
            **changes,
        }
        return {name: value for name, value in form.items() if value is not None}

    def credentials(self, **changes: Any) -> Reply:
        return self.token(self.credentials_form(**changes))

    def access_token(self) -> str:
        return str(self.credentials().expect(200)["access_token"])

    def call(self, method: str, path: str, token: str, document: Any = None, **options: Any) -> Reply:
        """Call this API with an access token and a proof that bears its hash."""
        plane = self.caller.plane
        changes = {"nonce": self.nonce, "access_token": token, **options.pop("proof_changes", {})}
        proof = plane.proof(self.caller.key, method, path, **changes)
        headers = {"Authorization": f"DPoP {token}", **options.pop("headers", {})}
        return plane.call(method, path, document, proof=proof, headers=headers, **options)
