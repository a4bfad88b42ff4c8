"""Parsers of documents that others publish or hand in: JSON, identifiers, records, answers, tables of the kernel."""

import base64
import json
from collections.abc import Callable

from tests.fuzzing.aiming import Target, text_of


def _strict_json() -> Target:
    from controlplane.contracts.unambiguous import read_json

    seed = json.dumps({"a": [1, -2.5e3, None, True, "\u20ac\\"], "b": {"c": {}}}).encode()
    return Target(read_json, [seed, b"[" * 200 + b"]" * 200, b'"x"'], (ValueError,))


def _did() -> Target:
    from controlplane.identifiers.didkey import did_key, key_document
    from controlplane.identifiers.dids import DidInvalid, parse_did
    from controlplane.identifiers.didweb import place_of
    from tests.controlplane.capabilities.conftest import World

    def _take(data: bytes) -> object:
        found = parse_did(text_of(data))
        read = {"key": key_document, "web": place_of}.get(found.method, parse_did)
        return read(text_of(data))

    seeds = [did_key(World().device.public).encode(), b"did:web:a.example%3A8443:users:b", b"did:web:a.example"]
    # An Ed25519 and a secp256k1 key, for those are read too (the examples of did:key).
    seeds += [b"did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"]
    seeds += [b"did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme"]
    return Target(_take, seeds, (DidInvalid,))


def _did_document() -> Target:
    from controlplane.identifiers.didkey import multikey
    from controlplane.identifiers.didweb import DocumentInvalid, read_document
    from tests.controlplane.capabilities.conftest import World

    did, key = "did:web:a.example", World().device.public
    methods = [
        {"id": f"{did}#a", "type": "JsonWebKey", "controller": did, "publicKeyJwk": key.model_dump()},
        {"id": "#b", "type": "Multikey", "controller": did, "publicKeyMultibase": multikey(key)},
    ]
    seed = {"id": did, "verificationMethod": methods, "authentication": ["#a"], "assertionMethod": [f"{did}#b"]}
    return Target(lambda data: read_document(did, data), [json.dumps(seed).encode()], (DocumentInvalid,))


def _spiffe_id() -> Target:
    from controlplane.identifiers.spiffe import SpiffeId, SpiffeIdInvalid

    seeds = [b"spiffe://homes.example/device/dev-a", b"spiffe://homes.example"]
    return Target(lambda data: SpiffeId.parse(text_of(data)), seeds, (SpiffeIdInvalid,))


def _identity_record() -> Target:
    """What is on a ledger, as if its author had signed these bytes."""
    from controlplane.identifiers.records import RecordInvalid, SignedRecord, Statement, sign_record
    from tests.controlplane.capabilities.conftest import World

    world = World()
    stated = Statement(
        federation="homes",
        kind="device",
        act="registered",
        subject="dev-a",
        sequence=0,
        issuer="did:key:zA",
        key=world.device.public,
        time_ms=1,
    )
    header = sign_record(stated, world.device).statement.partition(".")[0].encode()

    def _take(data: bytes) -> object:
        return SignedRecord(statement=world.device.sign(header, data)).read()

    return Target(_take, [stated.model_dump_json(exclude_none=True).encode()], (RecordInvalid, ValueError))


def _authority() -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    from tests.controlplane.identity.credentials.factory import Authority

    return Authority("Root").certificate.public_bytes(Encoding.DER)


def _trust_bundle() -> Target:
    from adapters.svid.bundle import BundleInvalid, TrustBundle
    from controlplane.identifiers.spiffe import TrustDomain
    from tests.controlplane.capabilities.conftest import World

    domain = TrustDomain("homes.example")
    der = base64.b64encode(_authority()).decode()
    key = World().signing
    entries = [{"use": "jwt-svid", **key.public.model_dump(), "kid": "a"}, {"use": "x509-svid", "x5c": [der]}]
    seed = json.dumps({"keys": entries, "spiffe_sequence": 3, "spiffe_refresh_hint": 60}).encode()
    return Target(lambda data: TrustBundle.parse(data, domain), [seed], (BundleInvalid,))


def _form() -> Target:
    from controlplane.api.forms import parse_form
    from controlplane.api.oauth_errors import OAuthError
    from controlplane.contracts.oauth import TokenParameter

    seeds = [b"token=a.b.c&token_type_hint=access_token", b"token=%C3%A9&other=1"]
    return Target(lambda data: parse_form(data, TokenParameter), seeds, (OAuthError,))


def _problem() -> Target:
    """An answer that is no 2xx, of whatever stands between a device and the control plane."""
    from adapters.wire import clock_hint, read_problem

    def _take(data: bytes) -> object:
        head, _, body = data.partition(b"\n")
        clock_hint(text_of(head), 1_800_000_000.0)
        return read_problem(503, body, text_of(head), "hint")

    problem = {"type": "urn:ztfm:problem:denied", "title": "t", "status": 403, "detail": "d", "decision_id": "dec-1"}
    problem["reasons"] = [{"code": "c", "message": "m", "remedy": "r"}]  # type: ignore[assignment]
    oauth = {"error": "invalid_client", "error_description": "who are you"}
    seeds = [b"7\n" + json.dumps(one).encode() for one in (problem, oauth)]
    return Target(_take, [*seeds, b"Tue, 15 Nov 1994 08:12:31 GMT\n<html>"])


def _evaluation() -> Target:
    """An AuthZEN answer of a decision point that may be anybody's."""
    from adapters.answers import decision_of
    from adapters.errors import Unavailable
    from adapters.wire import read_answer
    from controlplane.contracts.decision import AccessResponse

    reason = {"code": "c", "message": "m", "remedy": "r"}
    denied = {"decision": False, "context": {"reasons": [reason], "error": {"message": "m"}}}
    plain = {"decision": False, "context": {"id": "dec-1", "outcome": "deny", "reasons": [reason]}}
    seeds = [json.dumps(one).encode() for one in (denied, plain)]
    return Target(lambda data: decision_of(read_answer(AccessResponse, data)), seeds, (Unavailable,))


def _server_events() -> Target:
    """A stream, in pieces of seven bytes."""
    from adapters.serversent import EventReader, TooLong

    def _take(data: bytes) -> object:
        reader = EventReader()
        return [reader.feed(data[start : start + 7]) for start in range(0, len(data), 7)]

    seeds = [b"id: 7\nevent: set\ndata: a.b.c\ndata: d\n\n: alive\n\n", b"\xef\xbb\xbfdata: x\r\n\r\ndata:y\r\r"]
    return Target(_take, seeds, (TooLong, UnicodeDecodeError))


def _kernel_rules() -> Target:
    """What nftables says is in force."""
    from adapters.segments.errors import RulesRefused
    from adapters.segments.libnftables import _objects
    from controlplane.segmentation.flows import Rules
    from controlplane.segmentation.nftables import installing
    from controlplane.segmentation.reachability import NotUnderstood, reach
    from controlplane.segmentation.rulesets import NotAsCompiled, parse, read
    from tests.controlplane.segmentation.tables import NOW
    from tests.controlplane.segmentation.test_nftables import FLOW, SIX

    def _take(data: bytes) -> object:
        listing = {"nftables": _objects(data.decode())}
        reach(parse(listing), FLOW, NOW)
        return read(listing, NOW)

    meant = Rules({FLOW: NOW + 300, SIX: NOW + 360}, frozenset({"10.0.1.9"}))
    seed = json.dumps(installing(meant, NOW)).encode()
    return Target(_take, [seed], (RulesRefused, NotAsCompiled, NotUnderstood, UnicodeDecodeError))


def _grants() -> Target:
    from pydantic import ValidationError

    from controlplane.contracts.segmentation import GrantTable
    from controlplane.segmentation.flows import TooManyFlows, rules_of
    from tests.controlplane.segmentation.tables import CAMERA, NOW, cut, grant, table

    seed = table([grant(1, CAMERA, "aggregator"), grant(2, "fd00::2", "clock")], [cut(3, "10.0.1.9")])
    return Target(
        lambda data: rules_of(GrantTable.model_validate_json(data), NOW),
        [seed.model_dump_json().encode()],
        (ValidationError, TooManyFlows),
    )


MADE: dict[str, Callable[[], Target]] = {
    "did": _did,
    "did_document": _did_document,
    "evaluation": _evaluation,
    "form": _form,
    "grants": _grants,
    "identity_record": _identity_record,
    "kernel_rules": _kernel_rules,
    "problem": _problem,
    "server_events": _server_events,
    "spiffe_id": _spiffe_id,
    "strict_json": _strict_json,
    "trust_bundle": _trust_bundle,
}
"""By name."""
