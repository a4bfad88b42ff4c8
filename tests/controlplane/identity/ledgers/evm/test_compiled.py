"""What is shipped is what the sources compile to."""

import pytest
from eth_utils import event_abi_to_log_topic, function_abi_to_4byte_selector

from controlplane.identity.ledgers.evm.compiled import CONTRACTS, FOLDER, Contract, compile_source, load, written

# Those of the registry that is deployed on public chains.
SELECTORS = {
    "identityOwner": "8733d4e8",
    "changeOwner": "f00d4b5d",
    "addDelegate": "a7068d66",
    "revokeDelegate": "80b29f7c",
    "setAttribute": "7ad4b0a4",
    "revokeAttribute": "00c023da",
    "validDelegate": "622b2a3c",
    "nonce": "70ae92d2",
    "changed": "f96d0f9f",
    "changeOwnerSigned": "240cf1fa",
}
TOPICS = {
    "DIDOwnerChanged": "38a5a6e68f30ed1ab45860a4afb34bcb2fc00f22ca462d249b8a8d40cda6f7a3",
    "DIDDelegateChanged": "5a5084339536bcab65f20799fcc58724588145ca054bd2be626174b27ba156f7",
    "DIDAttributeChanged": "18ab6b2ae3d64306c00ce663125f2bd680e441a098de1635bd7ad8b0d44965e4",
}


@pytest.mark.parametrize("contract", CONTRACTS)
def test_what_is_shipped_is_what_the_source_compiles_to(contract: Contract) -> None:
    remedy = "run: python -m controlplane.identity.ledgers.evm.compiled"
    assert (FOLDER / f"{contract}.json").read_text() == written(compile_source(contract)), remedy


def test_did_ethr_is_called_as_erc_1056_publishes() -> None:
    shown = {one["name"]: one for one in load("dids").abi if one["type"] == "function"}
    found = {name: function_abi_to_4byte_selector(shown[name]).hex() for name in SELECTORS}
    assert found == SELECTORS


def test_did_ethr_tells_as_erc_1056_publishes() -> None:
    shown = {one["name"]: one for one in load("dids").abi if one["type"] == "event"}
    assert {name: event_abi_to_log_topic(shown[name]).hex() for name in TOPICS} == TOPICS
