"""What a device's own capability asks it to add to an update: the control plane's word, not the aggregator's."""

from collections.abc import Callable

from pydantic import ValidationError

from adapters.errors import NoiseOwed, Unavailable
from controlplane.contracts.privacy import PrivacyTerms
from controlplane.jose.jws import parse, parse_object

MakeNoise = Callable[[PrivacyTerms], str]
"""Clips and noises an update by terms, and returns the digest of what is to be sent."""


def terms_of(capability: str) -> PrivacyTerms | None:
    """Return the noise that a device has to add; none when it has to add none.

    The capability came from the control plane itself, so nothing is verified.

    Raises:
        Unavailable: it cannot be read by this version, so that it is not known what it asks for.
    """
    token = parse(capability)
    try:
        [detail] = parse_object(token.payload)["authorization_details"] if token else []
        stated = detail["constraints"].get("privacy")
        terms = None if stated is None else PrivacyTerms.model_validate(stated)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, ValidationError):
        raise Unavailable("the capability asks for what this version does not know: compare versions") from None
    return terms if terms is not None and terms.mode == "local" else None


def require_noised(capability: str, noised: PrivacyTerms | None) -> None:
    """Check that a device did what its capability asks for.

    Args:
        capability: as the control plane gave it out.
        noised: by which terms noise was added; none where none was.

    Raises:
        NoiseOwed: it asks for noise, and there is none, or other noise.
        Unavailable: it cannot be read by this version.
    """
    asked = terms_of(capability)
    if asked is not None and asked != noised:
        message = "the capability asks for noise that was not added; nothing was sent (see Member.release)"
        raise NoiseOwed(message, asked, capability)
