"""What a DID method is to the resolver: it finds a document, or says why there is none."""

from dataclasses import dataclass
from typing import Protocol

from controlplane.identifiers.documents import DidDocument, ErrorName


class NotResolved(Exception):  # noqa: N818 - named for what happened
    """A DID has no document here. The message says what was tried, and the remedy.

    Attributes:
        error: its name.
    """

    def __init__(self, error: ErrorName, message: str) -> None:
        super().__init__(message)
        self.error: ErrorName = error


@dataclass(frozen=True, slots=True)
class Found:
    """What a method found.

    Attributes:
        document: its id is the DID that was asked for.
        deactivated: the DID was given up; the document has no keys then.
        version: of the document, where the method knows versions.
    """

    document: DidDocument
    deactivated: bool = False
    version: str | None = None


class DidMethod(Protocol):
    """A DID method. Others plug theirs in as an entry point of the group ``ztfm.did_methods`` (`plugging`)."""

    @property
    def name(self) -> str:
        """Between the first two colons: ``key``, ``web``, ``ethr``."""
        ...

    def is_computed(self, did: str) -> bool:
        """Whether the document is had without asking anybody: it is had anew each time then, and takes no room."""
        ...

    def check(self, did: str) -> None:
        """Return if the DID is one of the method, and may be asked about; nobody is asked.

        Args:
            did: of this method by its syntax.

        Raises:
            NotResolved: ``invalidDid`` or ``notAllowed``.
        """
        ...

    async def resolve(self, did: str) -> Found:
        """Return what the DID stands for now. It was checked before. The resolver bounds how long this takes.

        Raises:
            NotResolved: it has no document, or none that can be had.
        """
        ...

    async def close(self) -> None:
        """Give back what is held."""
        ...
