"""Intel TDX: a quote of a guest, and Intel's collateral (DCAP)."""

from pathlib import Path

from controlplane.attestation.dcap import quotes
from controlplane.attestation.dcap.verifier import QuoteVerifier
from controlplane.attestation.dcap.verifying import Verified
from controlplane.attestation.interface import Verifier
from controlplane.attestation.reporting import bound_of, stated
from controlplane.contracts.attestation import Claims

_PLACES = {
    "mrseam": (16, 64),
    "mrsignerseam": (64, 112),
    "mrtd": (136, 184),
    "mrconfigid": (184, 232),
    "mrowner": (232, 280),
    "mrownerconfig": (280, 328),
    "rtmr0": (328, 376),
    "rtmr1": (376, 424),
    "rtmr2": (424, 472),
    "rtmr3": (472, 520),
}
"""Where the measurements lie in a TD report 1.0, with which one of 1.5 begins."""

_SERVICE = (600, 648)


class TdxVerifier(QuoteVerifier):
    """Verifies quotes of TDX guests."""

    kind = "tdx"
    tee = quotes.TDX

    def claims(self, verified: Verified) -> Claims:
        """Return what a quote that holds says."""
        body = verified.quote.body
        places = dict(_PLACES) if len(body) < _SERVICE[1] else {**_PLACES, "mrservicetd": _SERVICE}
        return stated(
            kind=self.kind,
            anchor=verified.anchor,
            platform=verified.platform.hex(),
            bound=bound_of(body[520:584]).hex(),
            # Each bit of the first byte is a way to look into a guest (Intel TDX module ABI, ATTRIBUTES.TUD).
            debug=bool(body[120]),
            status=verified.status,
            measurements={name: body[start:end].hex() for name, (start, end) in places.items()},
            versions={**verified.versions, **{f"tee_tcb_svn_{place}": svn for place, svn in enumerate(body[:16])}},
            attributes={
                **verified.attributes,
                "seam_attributes": body[112:120].hex(),
                "td_attributes": body[120:128].hex(),
                "xfam": body[128:136].hex(),
            },
            advisories=verified.advisories,
        )


def open_verifier(folder: Path) -> Verifier:
    """Return the verifier with what a folder holds; see `QuoteVerifier.open`.

    Raises:
        RootsInvalid: a root or the folder cannot be read.
    """
    return TdxVerifier.open(folder)
