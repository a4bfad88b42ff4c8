"""What proxies say of a request: read whole or not at all. Envoy's and Traefik's words are their documentation's."""

import base64
import time
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.gateway.authorizing import Answer
from adapters.gateway.dialects import DIALECTS, SubRequest
from adapters.web.answering import Refusal
from adapters.web.presented import Asked, body_bytes
from controlplane.capabilities.certificates import certificate_thumbprint
from controlplane.identifiers.spiffe import TrustDomain, device_spiffe_id
from controlplane.identity.authority import CertificateAuthority
from controlplane.jose.keys import SigningKey, load_public

NOW = time.time()
SAID: dict[str, dict[str, list[str]]] = {
    "nginx": {"x-original-method": ["POST"], "x-original-uri": ["/v1/infer?q=1"], "x-original-body": ["12/"]},
    "haproxy": {"x-original-method": ["POST"], "x-original-uri": ["/v1/infer?q=1"], "x-original-body": ["12/"]},
    "caddy": {"x-forwarded-method": ["POST"], "x-forwarded-uri": ["/v1/infer?q=1"], "x-original-body": ["12/"]},
    "traefik": {"x-forwarded-method": ["POST"], "x-forwarded-uri": ["/v1/infer?q=1"]},
    "envoy": {"x-original-body": ["12/-"]},
}


def asked(dialect: str, headers: dict[str, list[str]], **options: Any) -> Asked | Refusal:
    sub = SubRequest("POST", "/v1/infer?q=1", headers) if dialect == "envoy" else SubRequest("GET", "", headers)
    given = {"takes_certificates": False, "largest_body": 12, **options}
    return DIALECTS[dialect].asked(sub, NOW, **given)


def read(dialect: str, headers: dict[str, list[str]], **options: Any) -> Asked:
    found = asked(dialect, headers, **options)
    assert isinstance(found, Asked), found
    return found


@pytest.mark.parametrize("dialect", SAID)
def test_the_original_request_is_read_and_the_question_about_it_is_not(dialect: str) -> None:
    own = {"transfer-encoding": ["chunked"], "cookie": ["x"], "authorization": ["a", "b"]}
    own["content-length"] = ["12" if dialect == "traefik" else "0"]
    found = read(dialect, {**own, **SAID[dialect], "dpop": ["p"]})
    assert (found.method, found.path, found.certificate, body_bytes(found)) == ("POST", "/v1/infer", None, 12)
    assert found.query_bytes == len("q=1")
    assert set(found.headers) == {"content-length", "authorization", "dpop"}
    assert (found.headers["authorization"], found.headers["dpop"]) == (["a", "b"], ["p"])


@pytest.mark.parametrize("dialect", SAID)
def test_what_the_proxy_does_not_say_or_says_twice_lets_nothing_through(dialect: str) -> None:
    for name, values in SAID[dialect].items():
        missing = asked(dialect, {key: value for key, value in SAID[dialect].items() if key != name})
        assert isinstance(missing, Refusal)
        assert (missing.status, name in missing.detail) == (503, True)
        doubled = asked(dialect, {**SAID[dialect], name: values * 2})
        assert isinstance(doubled, Refusal)
        assert doubled.status == 400


@pytest.mark.parametrize("target", ["", "v1", "http://x/v1/infer", "*", "/v1/infer#x", "x:443"])
def test_a_target_that_is_no_path_is_refused(target: str) -> None:
    for dialect in ("nginx", "haproxy", "caddy", "traefik"):
        name = "x-forwarded-uri" if dialect in ("caddy", "traefik") else "x-original-uri"
        found = asked(dialect, {**SAID[dialect], name: [target]})
        assert isinstance(found, Refusal)
        assert found.status == 400


@pytest.mark.parametrize(
    ("method", "said", "size"),
    [
        ("POST", "0/", 0),
        ("POST", "12/", 12),
        ("POST", "12/-", 12),
        ("POST", "/", None),
        ("POST", "-/-", None),
        ("PUT", "/", None),
        ("GET", "/", 0),
        ("GET", "/chunked", None),
        ("POST", "12/chunked", None),
        ("POST", "/chunked,identity", None),
    ],
)
def test_a_body_that_does_not_say_how_large_it_is_has_no_size(method: str, said: str, size: int | None) -> None:
    found = read("nginx", {**SAID["nginx"], "x-original-method": [method], "x-original-body": [said]})
    assert body_bytes(found) == size


@pytest.mark.parametrize(
    "said", ["", "12", "12,12/", "+12/", "1 2/", "-1/", "١٢/", "9999999999999999999/", "12//", "a/"]
)
def test_a_length_that_is_no_number_is_refused(said: str) -> None:
    assert isinstance(asked("nginx", {**SAID["nginx"], "x-original-body": [said]}), Refusal)


def test_where_the_proxy_says_no_length_the_largest_body_is_assumed_of_each() -> None:
    assert body_bytes(read("traefik", SAID["traefik"], largest_body=5000)) == 5000
    for came, size in ((["7"], 7), (["7", "7"], 5000), (["x"], 5000), (["+7"], 5000)):
        assert body_bytes(read("traefik", {**SAID["traefik"], "content-length": came}, largest_body=5000)) == size
    assert isinstance(asked("traefik", SAID["traefik"], largest_body=None), Refusal)


def test_nginx_is_told_what_it_can_pass_on_and_the_rest_in_headers() -> None:
    for status, folded in {200: 200, 400: 403, 401: 401, 403: 403, 404: 403, 409: 403, 429: 403, 503: 503}.items():
        answer = DIALECTS["nginx"].answered(Answer(status, {"Retry-After": "1"}, b'{"a": 1}'))
        assert answer.status == folded
        if status != 200:
            assert answer.headers == {"Retry-After": "1", "Ztfm-Status": str(status), "Ztfm-Problem": '{"a": 1}'}


@pytest.fixture(scope="module")
def certificate() -> x509.Certificate:
    domain = TrustDomain("homes.example")
    authority, key = CertificateAuthority.create(domain, NOW), SigningKey.generate()
    return authority.issue_svid(device_spiffe_id(domain, f"dev-{key.thumbprint}"), load_public(key.public), NOW)


def spelled(dialect: str, certificate: x509.Certificate) -> dict[str, list[str]]:
    der, pem = certificate.public_bytes(Encoding.DER), certificate.public_bytes(Encoding.PEM).decode()
    return {
        "nginx": {"client-cert": [quote(pem, safe="")], "client-cert-verified": ["SUCCESS"]},
        "haproxy": {"client-cert": [f":{base64.b64encode(der).decode()}:"]},
        "caddy": {"client-cert": [f":{base64.b64encode(der).decode()}:"]},
        "envoy": {"x-forwarded-client-cert": [f"By=spiffe://x;Hash={_hex(certificate)};URI=spiffe://y"]},
    }[dialect]


def _hex(certificate: x509.Certificate) -> str:
    thumbprint = certificate_thumbprint(certificate.public_bytes(Encoding.DER))
    return base64.urlsafe_b64decode(f"{thumbprint}=").hex()


@pytest.mark.parametrize("dialect", ["nginx", "haproxy", "caddy", "envoy"])
def test_a_certificate_counts_where_the_proxy_is_said_to_verify_it(dialect: str, certificate: x509.Certificate) -> None:
    said = {**SAID[dialect], **spelled(dialect, certificate)}
    expected = certificate_thumbprint(certificate.public_bytes(Encoding.DER))
    assert read(dialect, said, takes_certificates=True).certificate == expected
    assert read(dialect, said).certificate is None
    doubled = {name: values * 2 for name, values in spelled(dialect, certificate).items()}
    assert read(dialect, {**said, **doubled}, takes_certificates=True).certificate is None
    for name in spelled(dialect, certificate):
        for broken in ("", "::", "x", ":x:", "%zz", "FAILED:self signed", said[name][0][30:]):
            assert read(dialect, {**said, name: [broken]}, takes_certificates=True).certificate is None, broken


def test_a_certificate_that_nginx_did_not_verify_or_that_has_expired_is_none(certificate: x509.Certificate) -> None:
    said = {**SAID["nginx"], **spelled("nginx", certificate)}
    for word in ("NONE", "FAILED:unable to verify", "", "success"):
        unverified = {**said, "client-cert-verified": [word]}
        assert read("nginx", unverified, takes_certificates=True).certificate is None
    late = certificate.not_valid_after_utc.timestamp()
    sub = SubRequest("GET", "", said)
    found = DIALECTS["nginx"].asked(sub, late, takes_certificates=True)
    assert isinstance(found, Asked)
    assert found.certificate is None


def test_envoys_hash_is_taken_of_one_element_alone() -> None:
    good = "Hash=" + "a" * 64
    for text in (
        f"{good},{good}",
        f"By=x,By=y;{good}",
        f"{good};{good}",
        f'Subject="x;{good}"',
        f"xHash={'a' * 64}",
        "Hash=" + "A" * 64,
    ):
        said = {**SAID["envoy"], "x-forwarded-client-cert": [text]}
        assert read("envoy", said, takes_certificates=True).certificate is None, text


_TEXT = st.text(st.characters(max_codepoint=255), max_size=20) | st.sampled_from(
    ["/v1/infer", "POST", "12/", "/healthz"]
)
_NAMES = st.sampled_from(sorted({name for said in SAID.values() for name in said} | {"authorization", "client-cert"}))


@given(
    dialect=st.sampled_from(sorted(SAID)),
    target=_TEXT,
    changes=st.dictionaries(_NAMES, st.lists(_TEXT, max_size=2), max_size=3),
)
@settings(max_examples=150, deadline=None)
def test_whatever_is_sent_it_is_one_request_or_none(dialect: str, target: str, changes: dict[str, list[str]]) -> None:
    headers = {**SAID[dialect], **changes}
    found = DIALECTS[dialect].asked(SubRequest("POST", target, headers), NOW, takes_certificates=True, largest_body=1)
    if isinstance(found, Refusal):
        assert found.status in (400, 503)
        return
    names = [name for name in SAID[dialect] if name.endswith("-uri")]
    [stated] = headers[names[0]] if names else [target]
    assert found.path == stated.partition("?")[0]
    assert found.path.startswith("/")
    assert all(len(headers[name]) == 1 for name in SAID[dialect])
