"""Secrets of models and data: kept by those who own them, released to platforms that have proven themselves."""

from adapters.calls import Calls, segment
from adapters.wire import read_answer
from controlplane.confidentiality.releasing import to_text
from controlplane.contracts.access import Purpose
from controlplane.contracts.secrets import (
    RegisteredSecret,
    ReleasedSecret,
    ReleaseRequest,
    SecretRequest,
    SecretsFound,
)

_SECRETS = "/v1/secrets"


class Secretkeeping(Calls):
    """What is asked about secrets; policy says who may what (`policies/ztfm/key_release`, `policies/ztfm/admin`)."""

    async def register_secret(self, name: str, value: bytes | None = None) -> RegisteredSecret:
        """Have a secret kept, or made.

        Args:
            name: its name, such as ``fall-detection/adapter``; whom it is released to, policy says under it.
            value: 16 to 512 bytes; none to have 32 made that nobody has seen.

        Raises:
            ControlPlaneError: any of `adapters.errors`; `Conflict` where a secret of this name is kept.
        """
        asked = SecretRequest(id=name) if value is None else SecretRequest(id=name, secret=to_text(value))
        return read_answer(RegisteredSecret, await self._post(_SECRETS, asked))

    async def secrets(self) -> list[RegisteredSecret]:
        """Return what is known of the secrets that are kept; none of them is shown."""
        return read_answer(SecretsFound, await self._get(_SECRETS)).secrets

    async def withdraw_secret(self, name: str) -> None:
        """Have a secret forgotten for good; whoever has it already, has it."""
        await self._ask("DELETE", f"{_SECRETS}/{segment(name)}", welcome=(204,))

    async def release_secret(self, name: str, purpose: Purpose, capability: str | None = None) -> ReleasedSecret:
        """Return a secret, sealed to the release key that this device's fresh evidence binds.

        `controlplane.confidentiality.releasing.open_release` opens it with the private half of that key.

        Args:
            name: of the secret.
            purpose: for what.
            capability: to pull the model whose shard it opens; none for a key of data.

        Raises:
            ControlPlaneError: any of `adapters.errors`; `Forbidden` says what policy misses.
        """
        asked = ReleaseRequest(purpose=purpose)
        if capability is not None:
            asked = ReleaseRequest(purpose=purpose, capability=capability)
        return read_answer(ReleasedSecret, await self._post(f"{_SECRETS}/{segment(name)}/release", asked))
