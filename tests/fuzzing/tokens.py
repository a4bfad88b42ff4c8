"""Parsers of tokens: as they come, and their claims as if whoever may sign them had signed these bytes."""

import json
from collections.abc import Callable

from controlplane.jose.jws import encode_segment
from controlplane.jose.keys import DeviceKey, load_public
from tests.fuzzing.aiming import Target, taken, text_of


def _signed(key: DeviceKey, token: str) -> Callable[[bytes], str]:
    """Return what signs any payload with the header of a token."""
    header = token.partition(".")[0].encode()
    return lambda payload: key.sign(header, payload)


def _payload(token: str) -> bytes:
    from controlplane.jose.jws import decode_segment

    return decode_segment(token.split(".")[1].encode())


def _compact() -> Target:
    from controlplane.jose.jws import parse
    from tests.controlplane.capabilities.conftest import World

    world = World()
    token = world.mint()[0]
    return Target(lambda data: taken(parse(text_of(data))), [token.encode(), world.proof(token).encode()])


def _capability() -> Target:
    from tests.controlplane.capabilities.conftest import World

    world = World()
    token = world.mint()[0]
    return Target(lambda data: taken(world.verifier.recognise(text_of(data))), [token.encode()])


def _capability_claims() -> Target:
    from tests.controlplane.capabilities.conftest import World

    world = World()
    token = world.mint()[0]
    signed = _signed(world.signing, token)
    return Target(lambda data: taken(world.verifier.recognise(signed(data))), [_payload(token)])


def _shown_capability() -> Target:
    """When a token says that it expires, before anything of it is verified."""
    from adapters.guard.checkpoint import read_expiry
    from tests.controlplane.capabilities.conftest import World

    world = World()
    token = world.mint()[0]
    signed = _signed(world.device, token)
    return Target(lambda data: taken(read_expiry(signed(data))), [_payload(token)])


def _proof() -> Target:
    from controlplane.capabilities.proof import examine, holder_of
    from tests.controlplane.capabilities.conftest import TARGET, World

    world = World()

    def _take(data: bytes) -> object:
        holder_of(text_of(data))
        return taken(examine(text_of(data), method="SUBMIT", url=TARGET, now=world.clock()))

    return Target(_take, [world.proof(None).encode()])


def _proof_claims() -> Target:
    from controlplane.capabilities.proof import examine
    from tests.controlplane.capabilities.conftest import TARGET, World

    world = World()
    token = world.proof("a.b.c", nonce="n", digest="sha256:" + "d" * 64)
    signed = _signed(world.device, token)
    return Target(
        lambda data: taken(examine(signed(data), method="SUBMIT", url=TARGET, now=world.clock())), [_payload(token)]
    )


def _proof_header() -> Target:
    from controlplane.capabilities.proof import examine
    from tests.controlplane.capabilities.conftest import TARGET, World, opened

    world = World()
    token = world.proof(None)

    def _take(data: bytes) -> object:
        proof = world.device.sign(encode_segment(data), _payload(token))
        return taken(examine(proof, method="SUBMIT", url=TARGET, now=world.clock()))

    return Target(_take, [json.dumps(opened(token)[0]).encode()])


def _assertion_claims() -> Target:
    from controlplane.capabilities.assertions import examine_assertion, make_assertion
    from tests.controlplane.capabilities.conftest import ISSUER, World

    world = World()
    token = make_assertion(world.device, subject="dev-1", audience=ISSUER, now=world.clock())
    signed = _signed(world.device, token)
    given = {"key": world.device.public, "subject": "dev-1", "audiences": [ISSUER], "now": world.clock()}
    return Target(lambda data: taken(examine_assertion(signed(data), **given)), [_payload(token)])  # type: ignore[arg-type]


def _access_token_claims() -> Target:
    from controlplane.capabilities.accesstokens import AccessTokens
    from controlplane.contracts.capability import Confirmation
    from tests.controlplane.capabilities.conftest import ISSUER, World

    world = World()
    tokens = AccessTokens(
        lambda: world.signing, lambda: [world.signing], ISSUER, world.clock, lambda _name, _at: "good"
    )
    token, _claims = tokens.mint("dev-1", Confirmation(jkt=world.device.thumbprint))
    signed = _signed(world.signing, token)
    return Target(lambda data: taken(tokens.verify(signed(data))), [_payload(token)])


def _key_set() -> Target:
    from adapters.errors import Unavailable
    from adapters.wire import read_keys_document
    from controlplane.capabilities.errors import KeySetError
    from controlplane.capabilities.keyset import read_keys
    from controlplane.jose.keys import SigningKey, jwks

    seed = json.dumps(jwks([SigningKey.generate(), SigningKey.generate()])).encode()
    return Target(lambda data: read_keys(read_keys_document(data)), [seed], (KeySetError, Unavailable))


def _security_event() -> Target:
    from controlplane.capabilities.events import EventSigner, EventVerifier
    from controlplane.jose.keys import jwks
    from tests.controlplane.capabilities.conftest import ISSUER, START, World
    from tests.controlplane.capabilities.test_events import DOCUMENT

    world = World()
    verifier = EventVerifier(ISSUER, jwks([world.signing]))
    token = EventSigner(ISSUER, lambda: world.signing).kept(7, START, DOCUMENT)
    signed = _signed(world.signing, token)
    return Target(lambda data: taken(verifier.verify(signed(data), 7)), [_payload(token)])


def _status_list() -> Target:
    from controlplane.capabilities.statustokens import read_list, sign_list
    from tests.controlplane.capabilities.conftest import ISSUER, START, World
    from tests.controlplane.capabilities.test_statuslist import URI

    world = World()
    keys = {world.signing.kid: load_public(world.signing.public)}
    token = sign_list(world.signing, ISSUER, URI, {3, 99}, START)
    signed = _signed(world.signing, token)
    return Target(lambda data: read_list(signed(data), keys, ISSUER, URI, START), [_payload(token)], (ValueError,))


def _compressed_list() -> Target:
    from controlplane.capabilities.statuslist import compress, decompress
    from controlplane.jose.jws import decode_segment

    seeds = [decode_segment(compress(places).encode()) for places in ((), (1, 70_000))]
    return Target(lambda data: decompress(encode_segment(data).decode()), seeds, (ValueError,))


def _credential() -> Target:
    from controlplane.identity.credentials.sdjwt import CredentialInvalid
    from tests.controlplane.identity.credentials.world import accepted, issued, presented

    return Target(lambda data: accepted(text_of(data)), [presented(issued()).encode()], (CredentialInvalid,))


def _credential_claims() -> Target:
    from controlplane.identity.credentials.sdjwt import CredentialInvalid, check_times, read_presentation, verify_issued
    from tests.controlplane.identity.credentials.world import ISSUER, MAKER, NOW, issued, presented

    token, *rest = presented(issued()).split("~")
    signed = _signed(DeviceKey(MAKER), token)

    def _take(data: bytes) -> object:
        found = verify_issued(read_presentation("~".join([signed(data), *rest])), [ISSUER])
        return check_times(found, NOW)

    return Target(_take, [_payload(token)], (CredentialInvalid,))


def _disclosures() -> Target:
    """The payload that an issuer signed, and what is disclosed of it, one line each."""
    from controlplane.identity.credentials.disclosures import DisclosuresInvalid, disclose
    from controlplane.jose.jws import parse_object
    from tests.controlplane.identity.credentials import vectors

    sent = [vectors.FAMILY, vectors.GIVEN, vectors.US]

    def _take(data: bytes) -> object:
        payload, *disclosures = data.split(b"\n")
        return disclose(parse_object(payload), [text_of(one) for one in disclosures])

    seed = b"\n".join([_payload(vectors.SECTION_5), *(one.encode() for one in sent)])
    return Target(_take, [seed], (DisclosuresInvalid, ValueError))


def _jwt_svid_claims() -> Target:
    from adapters.svid.bundle import TrustBundle
    from adapters.svid.verifying import SvidRefused, verify_jwt_svid
    from controlplane.identifiers.spiffe import TrustDomain
    from tests.controlplane.capabilities.conftest import World

    world = World()
    document = {"keys": [{**world.signing.public.model_dump(), "kid": world.signing.kid, "use": "jwt-svid"}]}
    bundle = TrustBundle.parse(json.dumps(document).encode(), TrustDomain("homes.example"))
    header = encode_segment(json.dumps({"alg": "ES256", "kid": world.signing.kid, "typ": "JWT"}).encode())
    now = int(world.clock())
    claims = {"sub": "spiffe://homes.example/device/a", "aud": ["b"], "iat": now, "exp": now + 60}

    def _take(data: bytes) -> object:
        return verify_jwt_svid(world.signing.sign(header, data), bundle, "b", world.clock)

    return Target(_take, [json.dumps(claims).encode()], (SvidRefused,))


def _archive_token() -> Target:
    from adapters.rollback.errors import ArchiveDamaged
    from adapters.rollback.signing import TYPE, open_token

    key = DeviceKey.generate()
    header = encode_segment(json.dumps({"typ": TYPE, "alg": "ES256", "jwk": key.public.model_dump()}).encode())
    return Target(lambda data: open_token(key.sign(header, data), None), [b'{"round": "r1"}'], (ArchiveDamaged,))


MADE: dict[str, Callable[[], Target]] = {
    "access_token_claims": _access_token_claims,
    "archive_token": _archive_token,
    "assertion_claims": _assertion_claims,
    "capability": _capability,
    "capability_claims": _capability_claims,
    "compact_token": _compact,
    "compressed_status_list": _compressed_list,
    "credential": _credential,
    "credential_claims": _credential_claims,
    "disclosures": _disclosures,
    "jwt_svid_claims": _jwt_svid_claims,
    "key_set": _key_set,
    "proof": _proof,
    "proof_claims": _proof_claims,
    "proof_header": _proof_header,
    "security_event": _security_event,
    "shown_capability": _shown_capability,
    "status_list": _status_list,
}
"""By name."""
