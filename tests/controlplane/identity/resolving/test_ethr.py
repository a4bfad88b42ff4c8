"""did:ethr from a chain: py-evm within this process, and a real node of Hardhat."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from eth_account import Account

from controlplane.identifiers.didkey import multikey
from controlplane.identifiers.documents import DidDocument
from controlplane.identifiers.multibase import decode_base58
from controlplane.identity.ledgers.evm.deploying import deploy_dids
from controlplane.identity.ledgers.evm.sending import Call, Sender
from controlplane.identity.ledgers.evm.settings import EvmInvalid
from controlplane.identity.resolving import ethr
from controlplane.identity.resolving.ethr import EthrMethod, make_ethr, parse_ethr
from controlplane.identity.resolving.interface import NotResolved
from controlplane.identity.resolving.resolver import Resolver
from controlplane.jose.keys import DeviceKey
from tests.controlplane.identity.ledgers.evm.calling import NOBODY, Called
from tests.controlplane.identity.ledgers.evm.chains import Chain, InProcess, Remote, Twist, funded, node
from tests.controlplane.identity.ledgers.evm.nodes import shared_hardhat

CONFIRMATIONS = 2
NOW = 4_000_000_000
FAR = 10 * NOW


def word(text: str) -> bytes:
    return text.encode().ljust(32, b"\0")


@pytest.fixture(params=["py_evm", "hardhat"])
def chain(request: pytest.FixtureRequest) -> Chain:
    return InProcess() if request.param == "py_evm" else Remote(shared_hardhat().url)


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
def key() -> DeviceKey:
    return DeviceKey.generate()


def coded(key: DeviceKey) -> bytes:
    return decode_base58(multikey(key.public)[1:])


def did(chain: Chain, address: str) -> str:
    return f"did:ethr:{chain.number:#x}:{address}"


def method(contract: Called, *twists: Twist | None, now: float = NOW) -> EthrMethod:
    nodes = [node(contract.chain, twist, f"node-{number}") for number, twist in enumerate(twists or (None,))]
    return EthrMethod(nodes, contract.chain.number, contract.address, CONFIRMATIONS, lambda: now)


async def resolved(contract: Called, address: str, **given: Any) -> DidDocument:
    await contract.chain.mine(CONFIRMATIONS)
    return (await method(contract, **given).resolve(did(contract.chain, address))).document


def fragments(names: Sequence[str]) -> list[str]:
    return [name.rpartition("#")[2] for name in names]


async def test_an_identity_that_nobody_wrote_about_belongs_to_itself(contract: Called) -> None:
    address = Account.create().address
    await contract.chain.mine(CONFIRMATIONS)
    found = await method(contract).resolve(did(contract.chain, address))
    (only,) = found.document.verification_method
    assert only.blockchain_account_id == f"eip155:{contract.chain.number}:{address}"
    assert only.type == "EcdsaSecp256k1RecoveryMethod2020"
    assert fragments(found.document.authentication) == fragments(found.document.assertion_method) == ["controller"]
    assert (found.deactivated, found.version) == (False, None)


async def test_a_p256_key_counts_for_what_it_was_set_for_until_it_is_revoked(
    contract: Called, owner: Sender, key: DeviceKey
) -> None:
    identity, another = owner.address, DeviceKey.generate()
    await contract.write(owner, "setAttribute", identity, word("did/pub/Multikey/sigAuth"), coded(key), FAR)
    await contract.write(owner, "setAttribute", identity, word("did/pub/Multikey/veriKey/hex"), coded(another), FAR)
    document = await resolved(contract, identity)
    assert document.keys_for("authentication") == {f"{document.id}#delegate-1": key.public}
    assert document.keys_for("assertionMethod") == {f"{document.id}#delegate-2": another.public}
    await contract.write(owner, "revokeAttribute", identity, word("did/pub/Multikey/sigAuth"), coded(key))
    document = await resolved(contract, identity)
    assert document.keys_for("authentication") == {}
    # Names stay: the third change has a number of its own, and the second keeps its.
    assert document.keys_for("assertionMethod") == {f"{document.id}#delegate-2": another.public}


async def test_an_attribute_and_a_delegate_count_for_as_long_as_was_said(
    contract: Called, owner: Sender, key: DeviceKey
) -> None:
    delegate = Account.create().address
    set_ = await contract.write(
        owner, "setAttribute", owner.address, word("did/pub/Multikey/sigAuth"), coded(key), 86_400
    )
    (log,) = await contract.events(["DIDAttributeChanged"], set_)
    until = log.arguments["validTo"]
    await contract.write(owner, "addDelegate", owner.address, word("veriKey"), delegate, FAR)
    before = await resolved(contract, owner.address, now=until - 1)
    assert fragments(before.authentication) == ["controller", "delegate-1"]
    assert fragments(before.assertion_method) == ["controller", "delegate-2"]
    assert before.verification_method[-1].blockchain_account_id == f"eip155:{contract.chain.number}:{delegate}"
    after = await resolved(contract, owner.address, now=until)
    assert fragments(after.authentication) == ["controller"]


async def test_a_delegate_that_was_revoked_is_none_even_where_our_clock_is_slow(
    contract: Called, owner: Sender
) -> None:
    delegate = Account.create().address
    await contract.write(owner, "addDelegate", owner.address, word("sigAuth"), delegate, FAR)
    assert len((await resolved(contract, owner.address)).authentication) == 2
    await contract.write(owner, "revokeDelegate", owner.address, word("sigAuth"), delegate)
    assert len((await resolved(contract, owner.address, now=1.0)).authentication) == 1


async def test_what_is_not_final_does_not_count_yet(contract: Called, owner: Sender, key: DeviceKey) -> None:
    await contract.chain.mine(CONFIRMATIONS)
    await contract.write(owner, "setAttribute", owner.address, word("did/pub/Multikey/sigAuth"), coded(key), FAR)
    name = did(contract.chain, owner.address)
    assert len((await method(contract).resolve(name)).document.verification_method) == 1
    await contract.chain.mine(CONFIRMATIONS)
    assert len((await method(contract).resolve(name)).document.verification_method) == 2


async def test_who_was_given_an_identity_controls_it(contract: Called, owner: Sender) -> None:
    heir = Account.create().address
    await contract.write(owner, "changeOwner", owner.address, heir)
    document = await resolved(contract, owner.address)
    assert document.verification_method[0].blockchain_account_id == f"eip155:{contract.chain.number}:{heir}"


async def test_an_identity_that_was_given_up_has_no_keys_for_good(
    contract: Called, owner: Sender, key: DeviceKey
) -> None:
    await contract.write(owner, "setAttribute", owner.address, word("did/pub/Multikey/sigAuth"), coded(key), FAR)
    last = await contract.write(owner, "changeOwner", owner.address, NOBODY)
    await contract.chain.mine(CONFIRMATIONS)
    found = await method(contract).resolve(did(contract.chain, owner.address))
    assert (found.deactivated, found.version) == (True, str(last.block))
    assert found.document.verification_method == found.document.authentication == []


async def test_a_public_key_as_identifier_shows_the_key_until_somebody_else_owns_it(
    contract: Called, owner: Sender
) -> None:
    named = owner._account._key_obj.public_key.to_compressed_bytes().hex()
    name = f"did:ethr:{contract.chain.number:#x}:0x{named}"
    assert parse_ethr(name).address == owner.address
    await contract.chain.mine(CONFIRMATIONS)
    document = (await method(contract).resolve(name)).document
    assert fragments([one.id for one in document.verification_method]) == ["controller", "controllerKey"]
    await contract.write(owner, "changeOwner", owner.address, Account.create().address)
    await contract.chain.mine(CONFIRMATIONS)
    document = (await method(contract).resolve(name)).document
    assert fragments([one.id for one in document.verification_method]) == ["controller"]


async def test_keys_of_other_kinds_and_nonsense_are_left_out_and_keep_their_numbers(
    contract: Called, owner: Sender, key: DeviceKey
) -> None:
    for name, value in [
        ("did/pub/RSA/veriKey/pem", b"x"),
        ("did/pub/Multikey/sigAuth", b"\x80\x24" + b"\xff" * 33),
        ("did/svc/Hub", b"https://hub.example"),
        ("something else", b"x"),
        ("did/pub/Multikey/sigAuth", coded(key)),
    ]:
        await contract.write(owner, "setAttribute", owner.address, word(name), value, FAR)
    document = await resolved(contract, owner.address)
    assert document.keys_for("authentication") == {f"{document.id}#delegate-3": key.public}
    assert len(document.verification_method) == 2


async def test_a_node_that_leaves_a_change_out_is_not_believed(contract: Called, owner: Sender, key: DeviceKey) -> None:
    await contract.write(owner, "setAttribute", owner.address, word("did/pub/Multikey/sigAuth"), coded(key), FAR)
    await contract.write(owner, "revokeAttribute", owner.address, word("did/pub/Multikey/sigAuth"), coded(key))
    await contract.chain.mine(CONFIRMATIONS)

    def omits(method: str, _asked: Any, answer: Any) -> Any:
        return [] if method == "eth_getLogs" else answer

    with pytest.raises(NotResolved, match="leaves out") as caught:
        await method(contract, omits).resolve(did(contract.chain, owner.address))
    assert caught.value.error == "internalError"


async def test_a_node_that_denies_all_changes_is_caught_by_its_state_or_by_another(
    contract: Called, owner: Sender, key: DeviceKey
) -> None:
    await contract.write(owner, "changeOwner", owner.address, Account.create().address)
    await contract.chain.mine(CONFIRMATIONS)
    name = did(contract.chain, owner.address)

    def denies(kind: str, asked: Any, answer: Any) -> Any:
        is_changed = kind == "eth_call" and str(asked[0].get("data")).startswith("0xf96d0f9f")
        return "0x" + "0" * 64 if is_changed else answer

    with pytest.raises(NotResolved, match="owns"):
        await method(contract, denies).resolve(name)
    other = await funded(contract.chain)
    await contract.write(other, "setAttribute", other.address, word("did/pub/Multikey/sigAuth"), coded(key), FAR)
    await contract.chain.mine(CONFIRMATIONS)
    with pytest.raises(NotResolved, match="different changes"):
        await method(contract, None, denies).resolve(did(contract.chain, other.address))


async def test_more_keys_than_a_document_may_have_are_no_document(contract: Called, owner: Sender) -> None:
    for _ in range(16):
        await contract.write(owner, "addDelegate", owner.address, word("veriKey"), Account.create().address, FAR)
    await contract.chain.mine(CONFIRMATIONS)
    with pytest.raises(NotResolved) as caught:
        await method(contract).resolve(did(contract.chain, owner.address))
    assert caught.value.error == "invalidDidDocument"


async def test_the_resolver_resolves_it(contract: Called) -> None:
    await contract.chain.mine(CONFIRMATIONS)
    resolver = Resolver({"ethr": method(contract)}, clock=lambda: NOW, timer=lambda: 0.0)
    found = await resolver.resolve(did(contract.chain, Account.create().address))
    assert found.error is None and found.did_document is not None
    there_is_none = await resolver.resolve(f"did:ethr:{Account.create().address}")
    assert there_is_none.error == "notAllowed"
    await resolver.close()


@pytest.mark.parametrize(
    "name",
    [
        "did:ethr:0x12",
        "did:ethr:0x0:0x" + "a" * 40,
        "did:ethr:1:0x" + "a" * 40,
        "did:ethr:goerli:0x" + "a" * 40,
        "did:ethr:0x1:0x" + "a" * 41,
        "did:ethr:0x02" + "f" * 64,
        "did:ethr:" + "a" * 40,
    ],
)
def test_other_spellings_are_none(name: str) -> None:
    with pytest.raises(ValueError, match="did:ethr"):
        parse_ethr(name)


def test_a_did_without_a_chain_is_on_ethereums_own() -> None:
    address = "0x" + "ab" * 20
    for name in (f"did:ethr:{address}", f"did:ethr:mainnet:{address}", f"did:ethr:0x1:{address}"):
        assert parse_ethr(name).chain == 1


async def test_several_changes_within_one_block_count_in_their_order(key: DeviceKey) -> None:
    process = shared_hardhat()
    chain = Remote(process.url)
    owner = await funded(chain)
    async with node(chain).asked() as asked:
        made = await deploy_dids(asked, owner)
        assert made.contract is not None
        contract = Called(chain, "dids", made.contract)
        name, delegate, gone = word("did/pub/Multikey/sigAuth"), Account.create().address, Account.create().address
        calls = [
            Call(asked.encoded(contract.address, contract.abi, act, owner.address, *given), contract.address)
            for act, *given in [
                ("setAttribute", name, coded(key), FAR),
                ("addDelegate", word("veriKey"), delegate, FAR),
                ("revokeAttribute", name, coded(key)),
                ("addDelegate", word("sigAuth"), gone, FAR),
                ("revokeDelegate", word("sigAuth"), gone),
            ]
        ]
        process.ask("evm_setAutomine", [False])
        try:
            sending = asyncio.create_task(owner.send(asked, calls))
            for _ in range(600):
                if len(process.ask("eth_getBlockByNumber", ["pending", False])["transactions"]) == len(calls):
                    break
                await asyncio.sleep(0.05)
            await chain.mine(1)
            await sending
        finally:
            process.ask("evm_setAutomine", [True])
    document = await resolved(contract, owner.address)
    assert document.keys_for("authentication") == {}
    assert fragments(document.authentication) == ["controller"]
    assert fragments(document.assertion_method) == ["controller", "delegate-2"]

    def omits(changes: int) -> Twist:
        """Leave out the last where there are so many of a kind: two of the attribute, three of delegates."""

        def twist(method: str, _asked: Any, answer: Any) -> Any:
            return answer[:-1] if method == "eth_getLogs" and len(answer) == changes else answer

        return twist

    with pytest.raises(NotResolved, match=f"leaves out that {gone} is no delegate"):
        await method(contract, omits(3)).resolve(did(chain, owner.address))
    # What one node can hide within a block is an attribute, and another shows it.
    with pytest.raises(NotResolved, match="different changes"):
        await method(contract, omits(2), None).resolve(did(chain, owner.address))


async def test_who_was_changed_in_too_many_blocks_is_not_resolved(
    contract: Called, owner: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ethr, "MOST_BLOCKS", 2)
    for number in range(3):
        await contract.write(owner, "setAttribute", owner.address, word("did/svc/Hub"), bytes([number]), FAR)
    await contract.chain.mine(CONFIRMATIONS)
    with pytest.raises(NotResolved, match="more than 2 blocks"):
        await method(contract).resolve(did(contract.chain, owner.address))


def test_it_is_set_up_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZTFM_EVM_URL", "https://node.example")
    monkeypatch.setenv("ZTFM_EVM_CHAIN", "1")
    with pytest.raises(EvmInvalid, match="ZTFM_EVM_DIDS"):
        make_ethr()
    monkeypatch.setenv("ZTFM_EVM_DIDS", "0x" + "ab" * 20)
    assert make_ethr().name == "ethr"
    make_ethr().check("did:ethr:0x" + "ab" * 20)
