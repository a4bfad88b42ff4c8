"""The contract of did:ethr (ERC-1056)."""

from typing import Any

import pytest
from eth_account import Account
from eth_utils import keccak, to_bytes

from controlplane.identity.ledgers.evm.deploying import deploy_dids
from controlplane.identity.ledgers.evm.sending import Sender
from tests.controlplane.identity.ledgers.evm.calling import NOBODY, Called
from tests.controlplane.identity.ledgers.evm.chains import Chain, funded, node

SIGNING = b"sigAuth".ljust(32, b"\0")
NAME = b"did/pub/Multikey/veriKey".ljust(32, b"\0")


@pytest.fixture
async def contract(chain: Chain) -> Called:
    sender = await funded(chain)
    async with node(chain).asked() as asked:
        made = await deploy_dids(asked, sender)
    assert made.contract is not None
    return Called(chain, "dids", made.contract)


@pytest.fixture
async def owner(chain: Chain) -> Sender:
    return await funded(chain)


@pytest.fixture
async def other(chain: Chain) -> Sender:
    return await funded(chain)


async def signed(contract: Called, identity: str, signer: Any, act: bytes, *parts: bytes) -> tuple[int, bytes, bytes]:
    """Sign an act as ERC-1056 has it."""
    owner = await contract.read("identityOwner", identity)
    nonce = await contract.read("nonce", owner)
    packed = (b"\x19\x00", to_bytes(hexstr=contract.address), nonce.to_bytes(32, "big"), to_bytes(hexstr=identity))
    found = Account.unsafe_sign_hash(keccak(b"".join([*packed, act, *parts])), signer.key)
    return found.v, found.r.to_bytes(32, "big"), found.s.to_bytes(32, "big")


async def test_an_identity_belongs_to_itself_until_it_is_given_away(
    contract: Called, owner: Sender, other: Sender
) -> None:
    identity = owner.address
    assert await contract.read("identityOwner", identity) == identity
    await contract.refuses(other, "not the owner", "changeOwner", identity, other.address)
    given = await contract.write(owner, "changeOwner", identity, other.address)
    assert await contract.read("identityOwner", identity) == other.address
    (log,) = await contract.events(["DIDOwnerChanged"], given)
    assert log.arguments == {"identity": identity, "owner": other.address, "previousChange": 0}
    assert await contract.read("changed", identity) == given.block
    await contract.refuses(owner, "not the owner", "setAttribute", identity, NAME, b"x", 10)
    again = await contract.write(other, "changeOwner", identity, identity)
    (log,) = await contract.events(["DIDOwnerChanged"], again)
    assert log.arguments["previousChange"] == given.block


async def test_an_identity_that_was_given_up_comes_back_to_nobody(
    contract: Called, owner: Sender, other: Sender
) -> None:
    identity = owner.address
    await contract.write(owner, "changeOwner", identity, NOBODY)
    assert await contract.read("identityOwner", identity) == NOBODY
    for sender in (owner, other):
        await contract.refuses(sender, "not the owner", "changeOwner", identity, sender.address)
    # A signature that is none recovers to the zero address.
    nothing = (27, b"\0" * 32, b"\0" * 32)
    await contract.refuses(other, "not signed", "changeOwnerSigned", identity, *nothing, other.address)


async def test_a_delegate_acts_until_its_time_is_over_or_it_is_revoked(
    contract: Called, owner: Sender, other: Sender
) -> None:
    identity = owner.address
    await contract.write(owner, "addDelegate", identity, SIGNING, other.address, 3600)
    assert await contract.read("validDelegate", identity, SIGNING, other.address)
    assert not await contract.read("validDelegate", identity, NAME, other.address)
    assert not await contract.read("validDelegate", identity, SIGNING, identity)
    gone = await contract.write(owner, "revokeDelegate", identity, SIGNING, other.address)
    assert not await contract.read("validDelegate", identity, SIGNING, other.address)
    (log,) = await contract.events(["DIDDelegateChanged"], gone)
    assert log.arguments["delegateType"] == SIGNING
    await contract.refuses(other, "not the owner", "addDelegate", identity, SIGNING, other.address, 1)
    await contract.write(owner, "addDelegate", identity, SIGNING, other.address, 0)
    assert not await contract.read("validDelegate", identity, SIGNING, other.address)


async def test_an_attribute_is_an_event_with_its_value(contract: Called, owner: Sender) -> None:
    set_ = await contract.write(owner, "setAttribute", owner.address, NAME, b"some value", 60)
    (log,) = await contract.events(["DIDAttributeChanged"], set_)
    assert (log.arguments["name"], log.arguments["value"]) == (NAME, b"some value")
    gone = await contract.write(owner, "revokeAttribute", owner.address, NAME, b"some value")
    (log,) = await contract.events(["DIDAttributeChanged"], gone)
    assert (log.arguments["validTo"], log.arguments["previousChange"]) == (0, set_.block)


async def test_anybody_may_send_what_the_owner_signed_once(contract: Called, other: Sender) -> None:
    key = Account.create()
    receiver = Account.create().address
    signature = await signed(contract, key.address, key, b"changeOwner", to_bytes(hexstr=receiver))
    await contract.refuses(other, "not signed", "changeOwnerSigned", key.address, *signature, other.address)
    await contract.write(other, "changeOwnerSigned", key.address, *signature, receiver)
    assert await contract.read("identityOwner", key.address) == receiver
    assert await contract.read("nonce", key.address) == 1
    await contract.refuses(other, "not signed", "changeOwnerSigned", key.address, *signature, receiver)


async def test_each_act_can_be_signed(contract: Called, other: Sender) -> None:
    key = Account.create()
    delegate, validity = to_bytes(hexstr=other.address), (3600).to_bytes(32, "big")
    acts: list[tuple[bytes, list[bytes], list[Any]]] = [
        (b"addDelegate", [SIGNING, delegate, validity], [SIGNING, other.address, 3600]),
        (b"revokeDelegate", [SIGNING, delegate], [SIGNING, other.address]),
        (b"setAttribute", [NAME, b"value", validity], [NAME, b"value", 3600]),
        (b"revokeAttribute", [NAME, b"value"], [NAME, b"value"]),
    ]
    for number, (act, parts, given) in enumerate(acts, start=1):
        signature = await signed(contract, key.address, key, act, *parts)
        await contract.write(other, f"{act.decode()}Signed", key.address, *signature, *given)
        assert await contract.read("nonce", key.address) == number
    assert not await contract.read("validDelegate", key.address, SIGNING, other.address)


async def test_a_signature_for_one_contract_does_not_count_in_another(
    chain: Chain, contract: Called, owner: Sender
) -> None:
    async with node(chain).asked() as asked:
        made = await deploy_dids(asked, owner)
    assert made.contract is not None
    key = Account.create()
    signature = await signed(contract, key.address, key, b"changeOwner", to_bytes(hexstr=owner.address))
    another = Called(chain, "dids", made.contract)
    await another.refuses(owner, "not signed", "changeOwnerSigned", key.address, *signature, owner.address)
