"""The console: who is signed in to it, and how one may sign in."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from controlplane.contracts.base import Identifier, StrictModel, Thumbprint, Timestamp
from controlplane.contracts.identity import Person

SESSION_BYTES = 32
"""Random bytes of what a browser is given; the store knows the SHA-256 of it alone."""

MAX_SESSION_SECONDS = 86_400.0
"""As long as a session may last, whatever policy says."""

MAX_SESSIONS = 8
"""Sessions of one subject at once; one more ends the oldest."""

SubjectKind = Literal["person", "device"]


class ConsoleSession(StrictModel):
    """Who is signed in.

    Attributes:
        subject: by which decisions name them.
        kind: a person whom a provider vouches for, or an enrolled key.
        name: for people to read; nothing is decided by it.
        expires_at: when it ends whatever happens, Unix seconds; without use it ends sooner.
    """

    subject: Identifier
    kind: SubjectKind
    name: Annotated[str, Field(min_length=1, max_length=256)]
    expires_at: Timestamp


class SignInMeans(StrictModel):
    """How one may sign in.

    Attributes:
        url: under which the console is reached: proofs name it, and cookies belong to it.
        provider: people's identity provider; none where no person signs in.
        bootstrap: nobody is an administrator yet, and a secret in the state folder lets the first one enrol.
    """

    url: str
    provider: str | None = None
    bootstrap: bool


class KeptSession(StrictModel):
    """A session as it is kept.

    Attributes:
        subject: whose it is.
        person: what their provider said of them at sign-in; none of a device.
        key_thumbprint: of the key that signed in; none of a person.
        begun_at: Unix seconds.
        used_at: when it was used last, to a minute.
        idle_seconds: so long without use end it.
        ends_at: when it ends in any case, Unix seconds.
    """

    subject: Identifier
    person: Person | None = None
    key_thumbprint: Thumbprint | None = None
    begun_at: Timestamp
    used_at: Timestamp
    idle_seconds: Annotated[float, Field(gt=0.0, le=MAX_SESSION_SECONDS)]
    ends_at: Timestamp

    @model_validator(mode="after")
    def _is_of_one(self) -> Self:
        if (self.person is None) == (self.key_thumbprint is None):
            raise ValueError("a session is a person's or a key's")
        return self

    def holds_at(self, now: float) -> bool:
        """Whether it has not ended at ``now`` (Unix seconds)."""
        return now < self.ends_at and now < self.used_at + self.idle_seconds
