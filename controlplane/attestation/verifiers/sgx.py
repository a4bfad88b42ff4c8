"""Intel SGX: a quote of an enclave, and Intel's collateral (DCAP)."""

from pathlib import Path

from controlplane.attestation.dcap import quotes
from controlplane.attestation.dcap.verifier import QuoteVerifier
from controlplane.attestation.dcap.verifying import Verified
from controlplane.attestation.interface import Verifier
from controlplane.attestation.reporting import bound_of, stated
from controlplane.contracts.attestation import Claims

_DEBUG = 0x02
"""Of the attributes' flags (Intel SDM volume 3D, section 38.7.1)."""


class SgxVerifier(QuoteVerifier):
    """Verifies quotes of SGX enclaves."""

    kind = "sgx"
    tee = quotes.SGX

    def claims(self, verified: Verified) -> Claims:
        """Return what a quote that holds says."""
        body = verified.quote.body
        attributes = body[48:64]
        return stated(
            kind=self.kind,
            anchor=verified.anchor,
            platform=verified.platform.hex(),
            bound=bound_of(body[320:384]).hex(),
            debug=bool(attributes[0] & _DEBUG),
            status=verified.status,
            measurements={
                "mrenclave": body[64:96].hex(),
                "mrsigner": body[128:160].hex(),
                "config_id": body[192:256].hex(),
                "isvextprodid": body[32:48].hex(),
                "isvfamilyid": body[304:320].hex(),
            },
            versions={
                **verified.versions,
                "isvsvn": int.from_bytes(body[258:260], "little"),
                "config_svn": int.from_bytes(body[260:262], "little"),
            },
            attributes={
                **verified.attributes,
                # A number of a product, and no version: another product of the signer may have a higher one.
                "isvprodid": str(int.from_bytes(body[256:258], "little")),
                "flags": attributes[:8].hex(),
                "xfrm": attributes[8:].hex(),
                "misc_select": body[16:20].hex(),
            },
            advisories=verified.advisories,
        )


def open_verifier(folder: Path) -> Verifier:
    """Return the verifier with what a folder holds; see `QuoteVerifier.open`.

    Raises:
        RootsInvalid: a root or the folder cannot be read.
    """
    return SgxVerifier.open(folder)
