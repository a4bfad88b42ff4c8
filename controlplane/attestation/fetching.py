"""Collateral fetched from its makers. Only a command that is told to does this; no verifier and no server.

What is fetched is not trusted for where it came from: each part is signed, and verified when it is used.
"""

import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPSConnection
from urllib.parse import quote, unquote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import ValidationError

from controlplane.attestation.dcap.collaterals import CollateralDocument, write_collateral
from controlplane.contracts.unambiguous import read_json
from controlplane.pki.faults import FAULTS

INTEL = "api.trustedservices.intel.com"
INTEL_LISTS = "certificates.trustedservices.intel.com"
AMD = "kdsintf.amd.com"
HOSTS = frozenset({INTEL, INTEL_LISTS, AMD})
"""Whom it asks, and nobody else."""

MAX_BYTES = 131_072
"""Of an answer."""

TIMEOUT_SECONDS = 20.0

_FMSPC = re.compile(r"[0-9a-f]{12}")
_PRODUCT = re.compile(r"(Milan|Genoa|Turin)")
_SIGNED = re.compile(r'^\{"(?:tcbInfo|enclaveIdentity)":(\{.*\}),"signature":"([0-9a-f]{128})"\}\s*$', re.DOTALL)


class FetchFailed(Exception):  # noqa: N818 - a state, as callers see it
    """Collateral could not be fetched. The message says from where, and what to do."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Of a maker.

    Attributes:
        body: at most `MAX_BYTES`.
        headers: by name in lower case.
    """

    body: bytes
    headers: Mapping[str, str]


Get = Callable[[str], Answer]
"""Gets an address over HTTPS; `https_get`, or what a test puts in its place."""


def fetch_intel(kind: str, fmspc: str, authority: str, get: Get) -> bytes:
    """Return the collateral of a model of processor (Intel's provisioning certification service, version 4).

    Args:
        kind: ``sgx`` or ``tdx``.
        fmspc: the model, as 12 hexadecimal digits.
        authority: ``processor`` or ``platform``: who certifies its keys.
        get: an address.

    Raises:
        FetchFailed: an answer is missing or not what it should be.
        ValueError: there is no such kind, model or authority.
    """
    if kind not in ("sgx", "tdx") or authority not in ("processor", "platform") or not _FMSPC.fullmatch(fmspc):
        raise ValueError("it takes sgx or tdx, an FMSPC of 12 hexadecimal digits, and processor or platform")
    base, own = f"https://{INTEL}/sgx/certification/v4", f"https://{INTEL}/{kind}/certification/v4"
    lists = get(f"{base}/pckcrl?ca={authority}&encoding=der")
    infos = get(f"{own}/tcb?fmspc={fmspc.upper()}")
    identities = get(f"{own}/qe/identity")
    root = get(f"https://{INTEL_LISTS}/IntelSGXRootCA.der")
    tcb_info, tcb_info_signature = _signed(infos, "what it says of firmware")
    qe_identity, qe_identity_signature = _signed(identities, "what it says of the quoting enclave")
    try:
        document = CollateralDocument(
            pck_crl_issuer_chain=_chain(lists, "sgx-pck-crl-issuer-chain"),
            root_ca_crl=_list(root, INTEL_LISTS).hex(),
            pck_crl=_list(lists, INTEL).hex(),
            tcb_info_issuer_chain=_chain(infos, "tcb-info-issuer-chain"),
            tcb_info=tcb_info,
            tcb_info_signature=tcb_info_signature,
            qe_identity_issuer_chain=_chain(identities, "sgx-enclave-identity-issuer-chain"),
            qe_identity=qe_identity,
            qe_identity_signature=qe_identity_signature,
        )
    except ValidationError:
        raise FetchFailed(f"{INTEL} answered with more than collateral may have; try again later") from None
    return write_collateral(document)


def fetch_amd_list(product: str, signer: str, get: Get) -> bytes:
    """Return the list of authorities that AMD revoked, in DER (AMD's key distribution service, document 57230).

    Args:
        product: ``Milan``, ``Genoa`` or ``Turin``.
        signer: of reports: ``vcek`` or ``vlek``.
        get: an address.

    Raises:
        FetchFailed: the answer is none.
        ValueError: there is no such product or signer.
    """
    if not _PRODUCT.fullmatch(product) or signer not in ("vcek", "vlek"):
        raise ValueError("it takes Milan, Genoa or Turin, and vcek or vlek")
    return _list(get(f"https://{AMD}/{signer}/v1/{quote(product)}/crl"), AMD)


def https_get(url: str) -> Answer:
    """Get an address of `HOSTS` over HTTPS, with the certificates that the system trusts; no redirection is followed.

    Raises:
        FetchFailed: another host, another scheme, no connection, another status than 200, or too long an answer.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" or parts.netloc not in HOSTS:
        raise FetchFailed(f"{parts.netloc} is not asked: only {', '.join(sorted(HOSTS))}, over HTTPS")
    connection = HTTPSConnection(parts.netloc, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context())
    try:
        connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
        answer = connection.getresponse()
        body = answer.read(MAX_BYTES + 1)
        headers = {name.lower(): value for name, value in answer.getheaders()}
    except (OSError, HTTPException) as error:
        raise FetchFailed(f"{parts.netloc} does not answer ({type(error).__name__}); try again later") from None
    finally:
        connection.close()
    if answer.status != 200 or len(body) > MAX_BYTES:
        raise FetchFailed(f"{parts.netloc} answered with status {answer.status} and {len(body)} bytes")
    return Answer(body, headers)


def _signed(answer: Answer, what: str) -> tuple[str, str]:
    """The text that is signed, to the letter, and the signature over it."""
    found = _SIGNED.fullmatch(answer.body.decode("utf-8", "replace"))
    try:
        if found is None:
            raise ValueError("another form")
        read_json(found[1].encode())
    except ValueError:
        raise FetchFailed(f"{INTEL} answered with something else than {what}; try again later") from None
    return found[1], found[2]


def _list(answer: Answer, host: str) -> bytes:
    try:
        x509.load_der_x509_crl(answer.body)
    except FAULTS:
        raise FetchFailed(f"{host} answered with no list of revoked certificates; try again later") from None
    return answer.body


def _chain(answer: Answer, header: str) -> str:
    """Certificates that come in a header, written anew in the one spelling."""
    try:
        found = x509.load_pem_x509_certificates(unquote(answer.headers.get(header, "")).encode())
    except FAULTS:
        raise FetchFailed(f"{INTEL} named no certificates in {header}; try again later") from None
    return "".join(certificate.public_bytes(Encoding.PEM).decode() for certificate in found)
