"""What a request over HTTP shows: a capability and its proof, in headers (RFC 9449 section 7.1)."""

from adapters.credentials import Credentials
from adapters.naming import stated_subject
from adapters.web.presented import Asked, shown_by
from controlplane.capabilities.proof import holder_of
from controlplane.capabilities.refusals import Refused
from controlplane.contracts.identity import PublicKey


def as_shown(asked: Asked, subject: str) -> Credentials:
    """Return what a request shows as it came, for whoever is to rule on it: nothing is read, and nothing verified.

    Args:
        asked: the request.
        subject: whose name to put to it.
    """
    tokens, proofs = asked.headers.get("authorization", ()), asked.headers.get("dpop", ())
    return Credentials(subject, tokens[0].partition(" ")[2] if tokens else "", proofs[0] if proofs else "")


def presented(asked: Asked) -> tuple[Credentials, PublicKey] | Refused:
    """Return the credentials that a request shows and the key of their proof; nothing of them is verified."""
    shown = shown_by(asked)
    if shown == "missing":
        return Refused("proof_missing", "Send a capability (Authorization: DPoP) with its proof (DPoP).")
    if shown == "ambiguous" or shown.proof is None:
        return Refused("malformed", "Send one Authorization header with one capability, and one DPoP header.")
    holder = holder_of(shown.proof)
    if holder is None:
        return Refused("proof_malformed", "The proof is no dpop+jwt that shows a P-256 key.")
    key, thumbprint = holder
    return Credentials(stated_subject(shown.token, thumbprint), shown.token, shown.proof), key
