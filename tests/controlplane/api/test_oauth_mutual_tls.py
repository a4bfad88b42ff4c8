"""Over a client certificate the token endpoint binds what it gives to that certificate (RFC 8705)."""

import http.client
import json
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from typer.testing import CliRunner

from adapters.mutual import mutual_tls
from controlplane.capabilities.refusals import Refused
from controlplane.cli.commands import app as command_line
from controlplane.contracts.identity import IssuedCertificate
from tests.controlplane.api.oauth_client import FORM, OAuthClient
from tests.support import Caller, ControlPlane, running


@pytest.fixture(scope="module")
def secure() -> Iterator[ControlPlane]:
    with tempfile.TemporaryDirectory(prefix="ztfm-") as folder:
        made = CliRunner().invoke(command_line, ["tls", "init", "--host", "127.0.0.1", "--state-dir", folder, "--json"])
        files = json.loads(made.stdout)
        tls = {"tls_cert_file": files["ZTFM_TLS_CERT_FILE"], "tls_key_file": files["ZTFM_TLS_KEY_FILE"], "tls_port": 0}
        with running(state=Path(folder), **tls) as plane:
            yield plane


def posted(plane: ControlPlane, context: ssl.SSLContext, form: dict[str, Any], **headers: str) -> tuple[int, Any]:
    host = urlsplit(plane.services.access.tls_url)
    connection = http.client.HTTPSConnection(str(host.hostname), host.port, context=context, timeout=10)
    try:
        connection.request("POST", "/oauth/token", urlencode(form), {"Content-Type": FORM, **headers})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


@pytest.fixture
def client(secure: ControlPlane) -> OAuthClient:
    return OAuthClient(secure.enrol("consumer"))


@pytest.fixture
def context(secure: ControlPlane, client: OAuthClient) -> ssl.SSLContext:
    issued = client.caller.post("/v1/certificates", {}).expect(201)
    return mutual_tls(client.caller.key, IssuedCertificate.model_validate(issued))


def test_a_capability_is_bound_to_the_certificate(
    secure: ControlPlane, client: OAuthClient, context: ssl.SSLContext
) -> None:
    status, answer = posted(secure, context, client.exchange_form())
    assert (status, answer["token_type"]) == (200, "Bearer"), answer
    claims = secure.services.capabilities.verifier.recognise(answer["access_token"])
    assert not isinstance(claims, Refused)
    assert claims.cnf.x5t is not None
    assert claims.cnf.jkt is None
    introspected = OAuthClient(secure.enrol("gateway")).send("/oauth/introspect", {"token": answer["access_token"]})
    assert introspected.expect(200)["cnf"] == {"x5t#S256": claims.cnf.x5t}
    assert introspected.json["token_type"] == "Bearer"


def test_an_assertion_of_another_device_does_not_go_with_a_certificate(
    secure: ControlPlane, client: OAuthClient, context: ssl.SSLContext
) -> None:
    other: Caller = secure.enrol("consumer")
    status, answer = posted(secure, context, OAuthClient(other).exchange_form())
    assert (status, answer["error"]) == (400, "invalid_request")


def test_a_token_for_this_api_is_bound_to_a_key_alone(
    secure: ControlPlane, client: OAuthClient, context: ssl.SSLContext
) -> None:
    status, answer = posted(secure, context, client.credentials_form())
    assert (status, answer["error"]) == (400, "invalid_dpop_proof")
    url = secure.services.access.tls_url + "/oauth/token"
    proof = secure.proof(client.caller.key, "POST", "", url=url, nonce=secure.services.proving.nonces.current())
    form = client.credentials_form(client_assertion=client.assertion(audience=url))
    status, answer = posted(secure, context, form, DPoP=proof)
    assert (status, answer["token_type"]) == (200, "DPoP"), answer


def test_the_metadata_says_so(secure: ControlPlane) -> None:
    server = secure.call("GET", "/.well-known/oauth-authorization-server").expect(200)
    assert server["tls_client_certificate_bound_access_tokens"] is True
    assert server["mtls_endpoint_aliases"]["token_endpoint"] == secure.services.access.tls_url + "/oauth/token"
