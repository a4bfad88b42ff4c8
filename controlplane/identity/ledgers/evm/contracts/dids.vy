# pragma version ==0.4.3
# pragma evm-version paris
"""
@title Owners, delegates and attributes of identities (ERC-1056), for did:ethr
@license Apache-2.0
@notice
    Interface, events and signed messages are those that ERC-1056 publishes. Two things are stricter: an identity whose
    owner is nobody has none for ever, where the published one gives it back to its first key; and what is signed
    counts for as long as the signer's number of signed messages (`nonce`) has not moved.
"""

MOST_BYTES: constant(uint256) = 2048

event DIDOwnerChanged:
    identity: indexed(address)
    owner: address
    previousChange: uint256

event DIDDelegateChanged:
    identity: indexed(address)
    delegateType: bytes32
    delegate: address
    validTo: uint256
    previousChange: uint256

event DIDAttributeChanged:
    identity: indexed(address)
    name: bytes32
    value: Bytes[MOST_BYTES]
    validTo: uint256
    previousChange: uint256

owners: public(HashMap[address, address])
delegates: public(HashMap[address, HashMap[bytes32, HashMap[address, uint256]]])
changed: public(HashMap[address, uint256])
nonce: public(HashMap[address, uint256])

_is_ended: HashMap[address, bool]


@internal
@view
def _owner(identity: address) -> address:
    if self._is_ended[identity]:
        return empty(address)
    owner: address = self.owners[identity]
    return identity if owner == empty(address) else owner


@internal
@view
def _head(identity: address) -> Bytes[106]:
    """What every signed message begins with (EIP-191, version 0), up to the name of the act."""
    return concat(
        b"\x19\x00",
        convert(self, bytes20),
        convert(self.nonce[self._owner(identity)], bytes32),
        convert(identity, bytes20),
    )


@internal
def _signer(identity: address, sigV: uint8, sigR: bytes32, sigS: bytes32, digest: bytes32) -> address:
    signer: address = ecrecover(digest, sigV, sigR, sigS)
    # A signature that is none recovers to nobody, who owns what has ended.
    assert signer != empty(address) and signer == self._owner(identity), "not signed by the owner"
    self.nonce[signer] += 1
    return signer


@internal
def _changing(identity: address, actor: address) -> uint256:
    """Return the block of the change before, once it is sure that the actor may make another."""
    assert actor != empty(address) and actor == self._owner(identity), "not the owner"
    before: uint256 = self.changed[identity]
    self.changed[identity] = block.number
    return before


@internal
def _change_owner(identity: address, actor: address, newOwner: address):
    before: uint256 = self._changing(identity, actor)
    self.owners[identity] = newOwner
    self._is_ended[identity] = newOwner == empty(address)
    log DIDOwnerChanged(identity=identity, owner=newOwner, previousChange=before)


@internal
def _delegate(identity: address, actor: address, delegateType: bytes32, delegate: address, validTo: uint256):
    before: uint256 = self._changing(identity, actor)
    self.delegates[identity][keccak256(delegateType)][delegate] = validTo
    log DIDDelegateChanged(
        identity=identity, delegateType=delegateType, delegate=delegate, validTo=validTo, previousChange=before
    )


@internal
def _attribute(identity: address, actor: address, name: bytes32, _value: Bytes[MOST_BYTES], validTo: uint256):
    before: uint256 = self._changing(identity, actor)
    log DIDAttributeChanged(identity=identity, name=name, value=_value, validTo=validTo, previousChange=before)


@external
@view
def identityOwner(identity: address) -> address:
    """
    @notice Return whoever may change an identity: itself at first; nobody once it was ended.
    """
    return self._owner(identity)


@external
@view
def validDelegate(identity: address, delegateType: bytes32, delegate: address) -> bool:
    """
    @notice Return whether somebody is a delegate of an identity now.
    """
    return self.delegates[identity][keccak256(delegateType)][delegate] > block.timestamp


@external
def changeOwner(identity: address, newOwner: address):
    """
    @notice Give an identity to somebody else, or with the zero address end it for good.
    """
    self._change_owner(identity, msg.sender, newOwner)


@external
def changeOwnerSigned(identity: address, sigV: uint8, sigR: bytes32, sigS: bytes32, newOwner: address):
    """
    @notice The same, signed by the owner and sent by anybody.
    """
    digest: bytes32 = keccak256(concat(self._head(identity), b"changeOwner", convert(newOwner, bytes20)))
    self._change_owner(identity, self._signer(identity, sigV, sigR, sigS, digest), newOwner)


@external
def addDelegate(identity: address, delegateType: bytes32, delegate: address, validity: uint256):
    """
    @notice Let somebody act for an identity for `validity` seconds from now on.
    """
    self._delegate(identity, msg.sender, delegateType, delegate, block.timestamp + validity)


@external
def addDelegateSigned(
    identity: address,
    sigV: uint8,
    sigR: bytes32,
    sigS: bytes32,
    delegateType: bytes32,
    delegate: address,
    validity: uint256,
):
    """
    @notice The same, signed by the owner and sent by anybody.
    """
    digest: bytes32 = keccak256(
        concat(
            self._head(identity), b"addDelegate", delegateType, convert(delegate, bytes20), convert(validity, bytes32)
        )
    )
    actor: address = self._signer(identity, sigV, sigR, sigS, digest)
    self._delegate(identity, actor, delegateType, delegate, block.timestamp + validity)


@external
def revokeDelegate(identity: address, delegateType: bytes32, delegate: address):
    """
    @notice Let somebody act for an identity no more.
    """
    self._delegate(identity, msg.sender, delegateType, delegate, block.timestamp)


@external
def revokeDelegateSigned(
    identity: address, sigV: uint8, sigR: bytes32, sigS: bytes32, delegateType: bytes32, delegate: address
):
    """
    @notice The same, signed by the owner and sent by anybody.
    """
    digest: bytes32 = keccak256(
        concat(self._head(identity), b"revokeDelegate", delegateType, convert(delegate, bytes20))
    )
    actor: address = self._signer(identity, sigV, sigR, sigS, digest)
    self._delegate(identity, actor, delegateType, delegate, block.timestamp)


@external
def setAttribute(identity: address, name: bytes32, _value: Bytes[MOST_BYTES], validity: uint256):
    """
    @notice Say something of an identity that counts for `validity` seconds from now on.
    """
    self._attribute(identity, msg.sender, name, _value, block.timestamp + validity)


@external
def setAttributeSigned(
    identity: address,
    sigV: uint8,
    sigR: bytes32,
    sigS: bytes32,
    name: bytes32,
    _value: Bytes[MOST_BYTES],
    validity: uint256,
):
    """
    @notice The same, signed by the owner and sent by anybody.
    """
    digest: bytes32 = keccak256(
        concat(self._head(identity), b"setAttribute", name, _value, convert(validity, bytes32))
    )
    actor: address = self._signer(identity, sigV, sigR, sigS, digest)
    self._attribute(identity, actor, name, _value, block.timestamp + validity)


@external
def revokeAttribute(identity: address, name: bytes32, _value: Bytes[MOST_BYTES]):
    """
    @notice Say it no more.
    """
    self._attribute(identity, msg.sender, name, _value, 0)


@external
def revokeAttributeSigned(
    identity: address, sigV: uint8, sigR: bytes32, sigS: bytes32, name: bytes32, _value: Bytes[MOST_BYTES]
):
    """
    @notice The same, signed by the owner and sent by anybody.
    """
    digest: bytes32 = keccak256(concat(self._head(identity), b"revokeAttribute", name, _value))
    self._attribute(identity, self._signer(identity, sigV, sigR, sigS, digest), name, _value, 0)
