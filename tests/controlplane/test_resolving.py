"""What a control plane resolves, as its settings have it."""

from typing import Any

import pytest
from pydantic import ValidationError

from controlplane.contracts.identity import PublicKey
from controlplane.identifiers.didkey import did_key
from controlplane.identifiers.documents import organisation_document
from controlplane.identity.resolving.key import KeyMethod
from controlplane.identity.resolving.plugging import MethodUnusable
from controlplane.jose.keys import DeviceKey
from controlplane.resolving import build_resolver
from controlplane.settings import Settings
from tests.clocks import Clock

DID = "did:web:example.com"


class Ours:
    did = DID
    public: PublicKey = DeviceKey.generate().public


class Chain(KeyMethod):
    name = "chain"


async def test_by_default_no_organisation_is_asked() -> None:
    resolver = build_resolver(Settings(), Clock())
    assert resolver.methods == ("key", "web")
    assert (await resolver.resolve(DID)).error == "notAllowed"
    await resolver.close()


async def test_the_own_organisation_is_known_without_asking() -> None:
    ours: Ours | None = None
    resolver = build_resolver(Settings(), Clock(), whose=lambda: ours)
    assert (await resolver.resolve(DID)).error == "notAllowed"
    ours = Ours()
    assert (await resolver.resolve(DID)).did_document == organisation_document(DID, ours.public)
    ours.public = DeviceKey.generate().public
    assert list((await resolver.resolve(DID)).keys_for("assertionMethod").values()) == [ours.public]
    assert (await resolver.resolve(DID + ":other")).error == "notAllowed"
    await resolver.close()


async def test_a_method_that_is_not_named_is_not_used() -> None:
    did = did_key(DeviceKey.generate().public)
    resolver = build_resolver(Settings(did_methods="web"), Clock())
    assert (await resolver.resolve(did)).error == "methodNotSupported"
    await resolver.close()


async def test_a_method_that_is_handed_in_is_used_where_it_is_named() -> None:
    for named, methods in {"key,web": ("key", "web"), "chain, key": ("chain", "key")}.items():
        resolver = build_resolver(Settings(did_methods=named), Clock(), methods={"chain": Chain()})
        assert resolver.methods == methods
        await resolver.close()


def test_a_method_that_nobody_brings_ends_the_start() -> None:
    with pytest.raises(MethodUnusable, match="did:nowhere"):
        build_resolver(Settings(did_methods="key,nowhere"), Clock())


@pytest.mark.parametrize(
    "given",
    [
        {"did_web_organisations": "example.com"},
        {"did_web_organisations": f"{DID},did:web:10.0.0.1"},
        {"did_web_organisations": "did:key:zabc"},
        {"did_web_reach": "everything"},
        {"did_methods": ""},
        {"did_methods": "key,,web"},
        {"did_methods": "KEY"},
    ],
)
def test_settings_that_say_nothing_usable_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(**given)


def test_what_is_listed_is_listed_once() -> None:
    settings = Settings(did_web_organisations=f" {DID}, {DID},did:web:b.example ,", did_methods="key, web,key")
    assert settings.listed_did_web_organisations == (DID, "did:web:b.example")
    assert settings.listed_did_methods == ("key", "web")
