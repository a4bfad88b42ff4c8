"""The page: its files from memory, under a policy that lets nothing else in, and no way to any other file."""

import gzip
import http.client
import re
from urllib.parse import urlsplit

import pytest

from controlplane.api.console.pages import ASSETS, INDEX, built
from tests.support import ControlPlane, Reply

SCRIPT = max(
    (name for name in built() if name.startswith(ASSETS) and name.endswith(".js")),
    key=lambda name: len(built()[name].body),
)


def page(plane: ControlPlane, path: str = "/console/", **headers: str) -> Reply:
    return plane.call("GET", path, headers=headers)


def directives(answer: Reply) -> dict[str, str]:
    parts = (part.strip().partition(" ") for part in answer.headers["Content-Security-Policy"].split(";"))
    return {name: value for name, _, value in parts}


def test_the_page_lets_in_its_own_files_and_nothing_else(plane: ControlPlane) -> None:
    answer = page(plane)
    assert answer.status == 200
    allowed = directives(answer)
    nonce = allowed["style-src"].removeprefix("'self' 'nonce-").removesuffix("'")
    assert allowed == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": f"'self' 'nonce-{nonce}'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "font-src": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.body.decode()
    assert f'content="{nonce}"' in body
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son[a-z]+=|javascript:|\sstyle=", body)
    assert set(re.findall(r'(?:src|href)="([^"]*)"', body)) <= {f"/console/{name}" for name in built()}


def test_each_answer_has_a_nonce_of_its_own(plane: ControlPlane) -> None:
    seen = {directives(page(plane))["style-src"] for _ in range(10)}
    assert len(seen) == 10


@pytest.mark.parametrize("path", ["/console/", "/console/decisions/dec-1", "/console/nowhere", "/console/index.html"])
def test_every_place_within_the_console_is_the_page(plane: ControlPlane, path: str) -> None:
    answer = page(plane, path)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"__NONCE__" not in answer.body


def test_its_address_without_the_slash_leads_there(plane: ControlPlane) -> None:
    answer = page(plane, "/console")
    assert answer.status == 308
    assert answer.headers["Location"] == "/console/"


def test_files_are_kept_for_ever_by_their_digest_and_travel_compressed(plane: ControlPlane) -> None:
    plain, packed = (
        page(plane, f"/console/{SCRIPT}"),
        page(plane, f"/console/{SCRIPT}", **{"Accept-Encoding": "br, gzip"}),
    )
    assert plain.body == gzip.decompress(packed.body) == built()[SCRIPT].body
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    for answer in (plain, packed):
        assert answer.headers["Content-Type"].startswith("text/javascript")
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.headers["Vary"] == "Accept-Encoding"
    again = page(plane, f"/console/{SCRIPT}", **{"If-None-Match": plain.headers["ETag"]})
    assert again.status == 304
    assert again.body == b""
    assert page(plane, f"/console/{SCRIPT}", **{"If-None-Match": '"other"'}).status == 200


def test_a_file_of_another_build_is_not_there(plane: ControlPlane) -> None:
    answer = page(plane, "/console/assets/index-00000000.js")
    assert answer.status == 404
    assert answer.kind == "not-found"


@pytest.mark.parametrize(
    "path",
    [
        "/console/../controlplane/settings.py",
        "/console/..%2f..%2fsettings.py",
        "/console/%2e%2e/%2e%2e/settings.py",
        "/console/assets/..%2f..%2f..%2fpages.py",
        "/console/assets/%2e%2e/%2e%2e/pages.py",
        "/console/..%5c..%5csettings.py",
        "/console/....//....//pages.py",
        "/console//etc/passwd",
        "/console/%00",
        "/console/assets/x%00.js",
        "/console/pages.py",
        "/console/../../../../etc/passwd",
        "/console/assets%2f" + SCRIPT.removeprefix(ASSETS) + "%00",
    ],
)
def test_no_path_leads_to_a_file_that_is_none_of_the_build(plane: ControlPlane, path: str) -> None:
    where = urlsplit(plane.listens)
    connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=10.0)
    try:
        # As it stands: a client would tidy it.
        connection.putrequest("GET", path, skip_host=False)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    assert answer.status in {200, 404, 401, 400}
    assert b"root:" not in body
    assert b"import " not in body or b"problem" in body
    if answer.status == 200:
        assert body.startswith(b"<!doctype html>")


def test_the_whole_page_is_small() -> None:
    travels = sum(len(file.packed or file.body) for file in built().values())
    assert INDEX in built()
    assert travels < 300_000


def test_no_file_names_another_host() -> None:
    for name, file in built().items():
        found = set(re.findall(rb"https?://[a-z0-9.-]+", file.body))
        # Names of XML, and what a library says to developers.
        assert found <= {b"http://www.w3.org", b"https://github.com"}, (name, found)
