"""The console: sessions, and people's provider as one signs in with it."""

from dataclasses import dataclass

from controlplane.capabilities.sealing import Sealer
from controlplane.identity.codeflow import CodeFlow
from controlplane.identity.sessions import Sessions


@dataclass(frozen=True)
class ConsoleParts:
    """What signs people in.

    Attributes:
        sessions: who is signed in.
        sealer: seals what a browser keeps while its owner is at the provider.
        provider: whom people sign in with; none where they do not.
    """

    sessions: Sessions
    sealer: Sealer
    provider: CodeFlow | None
