"""What the verifiers of Intel's quotes have in common: roots, collateral, and the same steps to a quote that holds."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

from controlplane.attestation.chains import Anchors, load_anchors
from controlplane.attestation.collateral import CollateralFolder
from controlplane.attestation.dcap import collaterals, quotes
from controlplane.attestation.dcap.verifying import FindCollateral, Verified, verify_quote
from controlplane.contracts.attestation import Claims


class QuoteVerifier:
    """Verifies quotes of one kind; a subclass says which, and what is in them.

    Args:
        anchors: roots of Intel's certificates for platforms, by name.
        find: collateral that the operator keeps.
    """

    kind: ClassVar[str]
    """The kind of evidence."""

    tee: ClassVar[int]
    """`quotes.SGX` or `quotes.TDX`."""

    members: ClassVar[Mapping[str, int]] = {"quote": quotes.MAX_BYTES, "collateral": collaterals.MAX_BYTES}
    """See `Verifier.members`."""

    def __init__(self, anchors: Anchors, find: FindCollateral = lambda _name: None) -> None:
        self._anchors = anchors
        self._find = find

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Return the verifier with the roots of a folder, and the collateral in its folder ``collateral``.

        Raises:
            RootsInvalid: a root or the folder cannot be read.
        """
        return cls(load_anchors(folder), CollateralFolder(folder / "collateral").find)

    def verify(self, evidence: Mapping[str, bytes], at: float) -> Claims:
        """See `Verifier.verify`."""
        return self.claims(verify_quote(evidence, at, self._anchors, self.tee, self.kind, self._find))

    def claims(self, verified: Verified) -> Claims:
        """Return what a quote that holds says."""
        raise NotImplementedError
