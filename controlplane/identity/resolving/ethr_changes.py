"""What changes of an identity on a chain make of its DID document (did:ethr method specification; ERC-1056).

Pure: the changes, in the chain's order, and the time are all that counts. What an attribute says beside keys is left
out, and so is a key of a kind that is not read.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from controlplane.identifiers.didkey import read_multikey
from controlplane.identifiers.dids import DidInvalid
from controlplane.identifiers.documents import (
    MOST_METHODS,
    DidDocument,
    Jwk,
    VerificationMethod,
    document_of,
)
from controlplane.identifiers.multibase import encode_base58

NOBODY = "0x" + "0" * 40
"""Who owns an identity that was given up."""

_PURPOSES = ("veriKey", "sigAuth")
_ACCOUNT = "EcdsaSecp256k1RecoveryMethod2020"
_KEY = re.compile(r"did/pub/(Secp256k1|Ed25519|Multikey)/(veriKey|sigAuth)(/[A-Za-z0-9]+)?")
_NUMBERED = re.compile(r"did/pub/\w+(/\w+)?(/\w+)?")
_CODES = {"Secp256k1": b"\xe7\x01", "Ed25519": b"\xed\x01", "Multikey": b""}


class TooManyKeys(Exception):  # noqa: N818 - named for what happened
    """A document would have more keys than one may have."""


@dataclass(frozen=True, slots=True)
class OwnerChanged:
    """An identity was given to somebody, or given up.

    Attributes:
        owner: address of whom, with EIP-55's case; `NOBODY`.
    """

    owner: str


@dataclass(frozen=True, slots=True)
class DelegateChanged:
    """Somebody may act for an identity, or no more.

    Attributes:
        purpose: ``veriKey``, ``sigAuth``, or a word that means nothing here.
        delegate: address, with EIP-55's case.
        valid_to: Unix seconds.
    """

    purpose: str
    delegate: str
    valid_to: int


@dataclass(frozen=True, slots=True)
class AttributeChanged:
    """Something is said of an identity, or no more.

    Attributes:
        name: such as ``did/pub/Multikey/veriKey``.
        value: as it was said.
        valid_to: Unix seconds.
    """

    name: str
    value: bytes
    valid_to: int


Change = OwnerChanged | DelegateChanged | AttributeChanged


@dataclass(frozen=True, slots=True)
class Account:
    """Which identity a DID names.

    Attributes:
        did: as it was asked for.
        chain: number of the chain (EIP-155).
        address: of the identity, with EIP-55's case.
        key: that the DID names itself; none where it names the address.
    """

    did: str
    chain: int
    address: str
    key: Jwk | None = None


def owner_after(account: Account, changes: Sequence[Change]) -> str:
    """Return whoever owns an identity after changes; once it was given up, nobody does for good."""
    owner = account.address
    for change in changes:
        if isinstance(change, OwnerChanged):
            owner = change.owner
            if owner == NOBODY:
                break
    return owner


def delegates_after(changes: Sequence[Change], now: float) -> set[tuple[str, str]]:
    """Return who may act for an identity after changes, by purpose and address; its owner may besides."""
    latest = {(one.purpose, one.delegate): one.valid_to for one in changes if isinstance(one, DelegateChanged)}
    return {said for said, valid_to in latest.items() if said[0] in _PURPOSES and valid_to > now}


def document_after(account: Account, changes: Sequence[Change], now: float) -> DidDocument:
    """Return the document of an identity after changes.

    Args:
        account: it.
        changes: of it, in the chain's order.
        now: Unix seconds. What is valid to then is not valid any more, as the contract has it: so a revocation counts
            within its own second.

    Raises:
        TooManyKeys: there are more than a document may have.
    """
    did, owner = account.did, owner_after(account, changes)
    if owner == NOBODY:
        return document_of(did, [], [], [])
    methods = [_account(account, "controller", owner)]
    if account.key is not None and owner == account.address:
        name = f"{did}#controllerKey"
        methods.append(
            VerificationMethod(
                id=name, type="EcdsaSecp256k1VerificationKey2019", controller=did, public_key_jwk=account.key
            )
        )
    to_show = [one.id for one in methods]
    to_sign = list(to_show)
    for purpose, method in _added(account, changes, now).values():
        methods.append(method)
        (to_show if purpose == "sigAuth" else to_sign).append(method.id)
    if len(methods) > MOST_METHODS:
        raise TooManyKeys(f"{len(methods)} keys, where a document has {MOST_METHODS} at most")
    return document_of(did, methods, to_show, to_sign)


def _added(
    account: Account, changes: Sequence[Change], now: float
) -> dict[tuple[str, object], tuple[str, VerificationMethod]]:
    """Return what delegates and attributes add, with its purpose, by what says so."""
    found: dict[tuple[str, object], tuple[str, VerificationMethod]] = {}
    number = 0
    for change in changes:
        if isinstance(change, OwnerChanged) or not _is_numbered(change):
            continue
        number += 1
        said = _said(change)
        found.pop(said, None)
        if change.valid_to <= now:
            continue
        added = _method(account, change, f"delegate-{number}")
        if added is not None:
            found[said] = added
    return found


def _said(change: DelegateChanged | AttributeChanged) -> tuple[str, object]:
    if isinstance(change, DelegateChanged):
        return change.purpose, change.delegate
    return change.name, change.value


def _is_numbered(change: DelegateChanged | AttributeChanged) -> bool:
    return isinstance(change, DelegateChanged) or _NUMBERED.fullmatch(change.name) is not None


def _method(
    account: Account, change: DelegateChanged | AttributeChanged, name: str
) -> tuple[str, VerificationMethod] | None:
    if isinstance(change, DelegateChanged):
        is_known = change.purpose in _PURPOSES
        return (change.purpose, _account(account, name, change.delegate)) if is_known else None
    parts = _KEY.fullmatch(change.name)
    if parts is None:
        return None
    try:
        key = read_multikey("z" + encode_base58(_CODES[parts[1]] + change.value))
    except DidInvalid:
        return None
    method = VerificationMethod(
        id=f"{account.did}#{name}", type="JsonWebKey", controller=account.did, public_key_jwk=key
    )
    return parts[2], method


def _account(account: Account, name: str, address: str) -> VerificationMethod:
    return VerificationMethod(
        id=f"{account.did}#{name}",
        type=_ACCOUNT,
        controller=account.did,
        blockchain_account_id=f"eip155:{account.chain}:{address}",
    )
