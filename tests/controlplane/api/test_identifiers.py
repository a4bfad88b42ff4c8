"""``/v1/identifiers`` and ``/.well-known/did.json``: who may ask, what is asked of whom, and what comes back."""

from collections.abc import Iterator
from typing import Any

import pytest

from adapters.client import SyncControlPlane
from controlplane.identifiers.didkey import did_key, key_document
from controlplane.identifiers.documents import MEDIA_TYPE, organisation_document
from controlplane.jose.keys import DeviceKey
from tests.controlplane.identity.resolving.pages import Pages, published
from tests.controlplane.identity.resolving.threads import pages_on_a_thread
from tests.support import Caller, ControlPlane, running


@pytest.fixture(scope="module")
def pages() -> Iterator[Pages]:
    with pages_on_a_thread() as found:
        yield found


@pytest.fixture(scope="module")
def lab(pages: Pages) -> Iterator[ControlPlane]:
    with running(did_web_organisations=f"{pages.did('localhost')},did:web:away.example", did_web_reach="lab") as found:
        yield found


@pytest.fixture(scope="module")
def reader(lab: ControlPlane) -> Caller:
    return lab.enrol("operator")


def resolved(caller: Caller, did: str) -> Any:
    """Return what a caller is told of an identifier."""
    return caller.get("/v1/identifiers/" + did.replace("%", "%25")).expect(200)


def error(caller: Caller, did: str) -> str:
    found = resolved(caller, did)
    assert "didDocument" not in found
    return str(found["didResolutionMetadata"]["error"]["title"])


def test_a_key_resolves_to_its_document(reader: Caller) -> None:
    did = did_key(DeviceKey.generate().public)
    found = resolved(reader, did)
    assert found["didDocument"] == key_document(did).model_dump(mode="json", exclude_none=True)
    assert found["didDocumentMetadata"] == {}
    assert found["didResolutionMetadata"]["contentType"] == MEDIA_TYPE


def test_a_devices_name_stands_for_its_key(reader: Caller) -> None:
    found = resolved(reader, reader.id)
    did = did_key(reader.key.public)
    assert found["didDocument"]["id"] == did
    assert found["didDocumentMetadata"] == {"canonicalId": did, "equivalentId": [reader.id]}
    assert resolved(reader, did)["didDocumentMetadata"] == found["didDocumentMetadata"]


def test_a_revoked_device_has_no_keys_by_either_name(lab: ControlPlane, reader: Caller) -> None:
    doomed = lab.enrol("trainer")
    assert resolved(reader, doomed.id)["didDocument"]["assertionMethod"]
    lab.enrol("administrator").post(f"/v1/devices/{doomed.id}/status", {"status": "revoked", "reason": "test"}).expect(
        200
    )
    for name in (doomed.id, did_key(doomed.key.public)):
        found = resolved(reader, name)
        assert found["didDocumentMetadata"]["deactivated"] is True
        document = found["didDocument"]
        assert document["verificationMethod"] == document["assertionMethod"] == document["authentication"] == []
        assert "capabilityInvocation" not in document


def test_a_key_that_was_given_up_says_where_its_device_went(lab: ControlPlane, reader: Caller) -> None:
    device = lab.enrol("trainer")
    first, second = device.key, DeviceKey.generate()
    with SyncControlPlane(lab.url, first) as plane:
        plane.rotate_key(second)
        # Who rotates twice leads to the present key from both that it had.
        third = DeviceKey.generate()
        plane.rotate_key(third)
    present = did_key(third.public)
    for gone in (first, second):
        found = resolved(reader, did_key(gone.public))
        about = {"deactivated": True, "canonicalId": present, "equivalentId": [device.id]}
        assert found["didDocumentMetadata"] == about
        document = found["didDocument"]
        assert document["id"] == did_key(gone.public)
        assert document["verificationMethod"] == document["assertionMethod"] == document["authentication"] == []
    for name in (device.id, present):
        found = resolved(reader, name)
        assert found["didDocumentMetadata"] == {"canonicalId": present, "equivalentId": [device.id]}
        assert found["didDocument"]["assertionMethod"]


def test_an_organisation_that_was_named_is_asked_once(lab: ControlPlane, pages: Pages, reader: Caller) -> None:
    did, key = pages.did("localhost"), DeviceKey.generate()
    pages.put(published(did, key))
    pages.asked.clear()
    first, again = resolved(reader, did), resolved(reader, did)
    assert first["didDocument"]["verificationMethod"][0]["publicKeyJwk"] == key.public.model_dump()
    assert first["didDocument"] == again["didDocument"]
    assert [one["didResolutionMetadata"]["fromCache"] for one in (first, again)] == [False, True]
    assert pages.asked == ["/.well-known/did.json"]
    assert lab.metric("ztfm_did_resolutions_total", method="web", outcome="cached") >= 1


def test_nobody_has_the_server_ask_anybody_else(pages: Pages, reader: Caller) -> None:
    pages.asked.clear()
    for did in (pages.did("localhost", ":a"), f"did:web:localhost%3A{pages.port}:b", "did:web:example.com"):
        assert error(reader, did) == "notAllowed"
    assert pages.asked == []


@pytest.mark.parametrize(
    ("did", "name"),
    [
        ("did:web:localhost", "notAllowed"),
        ("did:web:127.0.0.1", "invalidDid"),
        ("did:web:away.example", "internalError"),
        ("did:key:zabc", "invalidDid"),
        ("did:ethr:0x1234", "methodNotSupported"),
        ("did:", "invalidDid"),
        ("did:key:" + "z" * 120, "invalidDid"),
        ("dev-" + "A" * 43, "notFound"),
        ("x", "notFound"),
    ],
)
def test_what_does_not_resolve_is_answered_with_the_reason(reader: Caller, did: str, name: str) -> None:
    assert error(reader, did) == name


def test_what_is_longer_than_any_identifier_is_not_looked_for(reader: Caller) -> None:
    assert reader.get("/v1/identifiers/did:key:" + "z" * 121).kind == "not-found"


def test_what_is_asked_is_on_record(lab: ControlPlane, reader: Caller, pages: Pages) -> None:
    resolved(reader, pages.did("localhost"))
    found = reader.get("/v1/decisions?action=identity:resolve&limit=1").expect(200)["decisions"]
    assert found[0]["resource"] == f"did:web:localhost+3A{pages.port}"


@pytest.mark.parametrize("role", ["administrator", "aggregator", "gateway", "operator"])
def test_those_who_run_a_federation_may_ask(lab: ControlPlane, role: str) -> None:
    assert error(lab.enrol(role), "did:web:example.com") == "notAllowed"


@pytest.mark.parametrize("role", ["trainer", "consumer"])
def test_a_device_asks_about_itself_alone(lab: ControlPlane, pages: Pages, reader: Caller, role: str) -> None:
    device = lab.enrol(role)
    for own in (device.id, did_key(device.key.public)):
        assert resolved(device, own)["didDocument"]["id"] == did_key(device.key.public)
    pages.asked.clear()
    for other in (reader.id, did_key(reader.key.public), pages.did("localhost"), "did:key:zabc", "x"):
        assert device.get("/v1/identifiers/" + other.replace("%", "%25")).kind == "denied"
    assert pages.asked == []


def test_a_stranger_learns_nothing(lab: ControlPlane) -> None:
    for reply in (
        lab.stranger().get("/v1/identifiers/did:web:example.com"),
        lab.call("GET", "/v1/identifiers/did:web:example.com"),
    ):
        assert reply.kind == "unauthenticated"


def test_an_organisation_that_is_a_key_has_no_document_on_the_web(lab: ControlPlane, reader: Caller) -> None:
    organisation = lab.services.identity.organisation
    assert organisation is not None
    assert organisation.did == did_key(organisation.public)
    assert lab.call("GET", "/.well-known/did.json").kind == "not-found"
    assert resolved(reader, organisation.did)["didDocument"]["id"] == organisation.did


def test_the_organisations_document_is_there_for_everybody_and_is_not_fetched() -> None:
    did = "did:web:example.com"
    with running(organisation_did=did) as own:
        assert own.services.identity.organisation is not None
        expected = organisation_document(did, own.services.identity.organisation.public).model_dump(
            mode="json", exclude_none=True
        )
        reply = own.call("GET", "/.well-known/did.json")
        assert reply.expect(200) == expected
        assert reply.headers["Content-Type"] == MEDIA_TYPE
        assert "max-age" in reply.headers["Cache-Control"]
        assert resolved(own.enrol("operator"), did)["didDocument"] == expected
        assert resolved(own.enrol("gateway"), "did:web:example.org")["didResolutionMetadata"]["error"]
