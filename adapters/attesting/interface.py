"""What makes evidence of a platform is to us."""

from collections.abc import Mapping
from typing import Protocol


class CannotAttest(Exception):  # noqa: N818 - a state, as callers see it
    """A platform cannot make evidence now; the message says why, and what to do."""


class Attester(Protocol):
    """Makes evidence of the platform that it runs on. Its calls may block, for seconds: run them in a thread.

    Whoever adds one gives it to the SDK; nothing is registered. All bytes are plain; the SDK encodes them.
    """

    @property
    def kind(self) -> str:
        """The kind of evidence that it makes, such as ``tpm``."""
        ...

    def endorsement(self) -> Mapping[str, bytes] | None:
        """Return what a challenge is asked for with; none where its kind of evidence needs none.

        Raises:
            CannotAttest: the platform does not answer.
        """
        ...

    def evidence(self, binding: bytes, credential: Mapping[str, bytes] | None) -> Mapping[str, bytes]:
        """Return evidence, by its members' names.

        Args:
            binding: what it has to carry: `controlplane.attestation.binding.binding`, 32 bytes.
            credential: what the challenge carried for this platform alone, where it did.

        Raises:
            CannotAttest: the platform does not answer, or the credential was not made for it.
        """
        ...
