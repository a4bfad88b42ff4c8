"""Collateral lies in files with an end, and is fetched from its makers alone, when somebody asks for it."""

import json
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from controlplane.attestation import collateral, fetching
from controlplane.attestation.certificates import RootsInvalid
from controlplane.attestation.collateral import CollateralFolder, expires_at, held
from controlplane.attestation.dcap.collaterals import CollateralDocument, read_collateral, write_collateral
from controlplane.attestation.dcap.issued import check_issued
from controlplane.attestation.fetching import Answer, FetchFailed, fetch_amd_list, fetch_intel, https_get
from controlplane.attestation.interface import EvidenceRefused
from tests.controlplane.attestation.making_intel import AT, BEGINS, ENDS, FMSPC, Intel

INTEL = Intel()
NAME = f"sgx-{FMSPC}-processor"


def served(url: str) -> Answer:
    """What Intel's service would answer."""
    document = INTEL.document()
    header = quote
    answers = {
        "https://api.trustedservices.intel.com/sgx/certification/v4/pckcrl?ca=processor&encoding=der": Answer(
            bytes.fromhex(document.pck_crl), {"sgx-pck-crl-issuer-chain": header(document.pck_crl_issuer_chain)}
        ),
        f"https://api.trustedservices.intel.com/sgx/certification/v4/tcb?fmspc={FMSPC.upper()}": Answer(
            f'{{"tcbInfo":{document.tcb_info},"signature":"{document.tcb_info_signature}"}}'.encode(),
            {"tcb-info-issuer-chain": header(document.tcb_info_issuer_chain)},
        ),
        "https://api.trustedservices.intel.com/sgx/certification/v4/qe/identity": Answer(
            f'{{"enclaveIdentity":{document.qe_identity},"signature":"{document.qe_identity_signature}"}}'.encode(),
            {"sgx-enclave-identity-issuer-chain": header(document.qe_identity_issuer_chain)},
        ),
        "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der": Answer(
            bytes.fromhex(document.root_ca_crl), {}
        ),
    }
    return answers[url]


def test_what_is_kept_is_found_and_says_when_it_ends(tmp_path: Path) -> None:
    folder = CollateralFolder(tmp_path / "collateral")
    assert folder.find(NAME) is None
    data = INTEL.collateral()
    assert folder.keep(NAME, data).name == f"{NAME}.json"
    assert folder.find(NAME) == data
    (found,) = held(tmp_path)
    assert found.expires_at == ENDS.timestamp() and found.is_fresh(AT) and not found.is_fresh(ENDS.timestamp() + 1)


def test_the_earliest_end_counts() -> None:
    document = INTEL.document()
    sooner = INTEL.root.revoke(ends=BEGINS + (ENDS - BEGINS) / 2).hex()
    changed = write_collateral(document.model_copy(update={"root_ca_crl": sooner}))
    assert expires_at(changed) == (BEGINS + (ENDS - BEGINS) / 2).timestamp()
    assert expires_at(bytes.fromhex(document.pck_crl)) == ENDS.timestamp()


@pytest.mark.parametrize("name", ["", "../sgx", "SGX", "a/b", "a..b", "x" * 97, "sgx\0"])
def test_a_name_never_leaves_its_folder(tmp_path: Path, name: str) -> None:
    folder = CollateralFolder(tmp_path)
    assert folder.find(name) is None
    with pytest.raises(ValueError, match="no name"):
        folder.keep(name, INTEL.collateral())


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\x30\x00", b"{" * 300, b'{"a":1}'])
def test_what_is_no_collateral_is_not_kept(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ValueError, match="fetch it again"):
        CollateralFolder(tmp_path).keep(NAME, data)
    (tmp_path / "bad.json").write_bytes(data)
    with pytest.raises(RootsInvalid, match=r"bad\.json"):
        list(held(tmp_path))


def test_folders_and_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collateral, "MAX_FILES", 1)
    folder = CollateralFolder(tmp_path)
    folder.keep(NAME, INTEL.collateral())
    folder.keep(NAME, INTEL.collateral())
    with pytest.raises(ValueError, match="remove those"):
        folder.keep("tdx-other", INTEL.collateral())
    (tmp_path / "list.crl").write_bytes(INTEL.root.revoke())
    with pytest.raises(RootsInvalid, match="more than 1"):
        list(held(tmp_path))


def test_intels_answers_become_a_document_that_verifies() -> None:
    data = fetch_intel("sgx", FMSPC, "processor", served)
    assert read_collateral(data).lists[0] == INTEL.authority.certificate
    assert CollateralDocument.model_validate(json.loads(data)).tcb_info == INTEL.document().tcb_info


def test_only_what_intel_signed_of_what_was_asked_takes_a_files_place() -> None:
    def _issued(document: CollateralDocument, fmspc: str = FMSPC, at: float = AT) -> None:
        check_issued(write_collateral(document), "sgx", fmspc, INTEL.anchors, at)

    good, other, guest = INTEL.document(), Intel().document(), INTEL.document("tdx")
    _issued(good)
    swapped = {name: getattr(other, name) for name in ("tcb_info_signature", "root_ca_crl", "pck_crl")}
    lists = {"root_ca_crl": good.pck_crl, "pck_crl": good.root_ca_crl}
    spoilt = {"qe_identity": good.qe_identity.replace("17", "18")}
    for change in (*({name: value} for name, value in swapped.items()), lists, spoilt):
        with pytest.raises(EvidenceRefused, match=r"^signature"):
            _issued(good.model_copy(update=change))
    for bad, fmspc, at, cause in (
        (other, FMSPC, AT, "untrusted"),
        (good.model_copy(update={"qe_identity_issuer_chain": other.qe_identity_issuer_chain}), FMSPC, AT, "untrusted"),
        (good, "00" * 6, AT, "unbound"),
        (guest, FMSPC, AT, "unbound"),
        (good, FMSPC, ENDS.timestamp() + 1, "expired"),
        (good, FMSPC, float("nan"), "expired"),
    ):
        with pytest.raises(EvidenceRefused, match=f"^{cause}"):
            _issued(bad, fmspc, at)


def test_an_older_edition_does_not_take_the_place_of_a_newer(tmp_path: Path) -> None:
    folder, newer = CollateralFolder(tmp_path), INTEL.collateral()
    folder.keep(NAME, newer)
    with pytest.raises(ValueError, match="newer edition"):
        folder.keep(NAME, INTEL.collateral(tcbEvaluationDataNumber=16))
    assert folder.find(NAME) == newer
    (tmp_path / f"{NAME}.json").write_bytes(b"spoilt")
    assert folder.keep(NAME, newer)


def test_an_end_without_a_zone_is_none() -> None:
    with pytest.raises(ValueError, match="fetch it again"):
        expires_at(INTEL.collateral(nextUpdate="2026-01-21T00:00:00"))


def test_an_answer_that_is_none_is_not_taken() -> None:
    def _garbled(url: str) -> Answer:
        answer = served(url)
        return Answer(answer.body.replace(b"signature", b"signatur"), answer.headers) if "tcb?" in url else answer

    def _chainless(url: str) -> Answer:
        return Answer(served(url).body, {})

    def _listless(url: str) -> Answer:
        return Answer(b"", {}) if url.endswith(".der") else served(url)

    def _vast(url: str) -> Answer:
        answer = served(url)
        return Answer(answer.body.replace(b'"id":"QE"', b'"id":"' + b"Q" * 70_000 + b'"'), answer.headers)

    def _deep(url: str) -> Answer:
        answer = served(url)
        return Answer(answer.body.replace(b'"id":"QE"', b'"id":' + b"[" * 5000 + b"]" * 5000), answer.headers)

    for get in (_deep, _garbled, _chainless, _listless, _vast, lambda _url: Answer(b"<html>", {})):
        with pytest.raises(FetchFailed, match=r"intel\.com"):
            fetch_intel("sgx", FMSPC, "processor", get)
    with pytest.raises(FetchFailed, match=r"amd\.com"):
        fetch_amd_list("Milan", "vcek", lambda _url: Answer(b"", {}))


def test_amds_list_is_kept_as_it_is() -> None:
    listed = INTEL.root.revoke()
    asked = []

    def _get(url: str) -> Answer:
        asked.append(url)
        return Answer(listed, {})

    assert fetch_amd_list("Genoa", "vlek", _get) == listed
    assert asked == ["https://kdsintf.amd.com/vlek/v1/Genoa/crl"]


@pytest.mark.parametrize("words", [("sgx", "../", "processor"), ("tpm", FMSPC, "processor"), ("sgx", FMSPC, "root")])
def test_only_known_things_are_asked_for(words: tuple[str, str, str]) -> None:
    with pytest.raises(ValueError, match="FMSPC"):
        fetch_intel(*words, served)
    with pytest.raises(ValueError, match="Milan"):
        fetch_amd_list("Rome", "vcek", served)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.trustedservices.intel.com/x",
        "https://evil.example/x",
        "https://api.trustedservices.intel.com@evil.example/x",
        "https://api.trustedservices.intel.com:8443/x",
        "file:///etc/passwd",
    ],
)
def test_nobody_else_is_asked(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "HTTPSConnection", None)
    with pytest.raises(FetchFailed, match="is not asked"):
        https_get(url)


class Maker:
    """Stands for a maker's server, whose name and certificate nobody else can have."""

    status, body = 200, b"list"

    def __init__(self, host: str, **options: Any) -> None:
        assert host == "kdsintf.amd.com" and options["context"].verify_mode is ssl.CERT_REQUIRED

    def request(self, method: str, target: str) -> None:
        if target == "/down":
            raise OSError("no route")
        assert (method, target) == ("GET", "/vcek/v1/Milan/crl?a=b")

    def getresponse(self) -> "Maker":
        return self

    def read(self, most: int) -> bytes:
        return self.body[:most]

    def getheaders(self) -> list[tuple[str, str]]:
        return [("X-Name", "value")]

    def close(self) -> None:
        pass


def test_a_makers_answer_is_bounded_and_nothing_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://kdsintf.amd.com/vcek/v1/Milan/crl?a=b"
    monkeypatch.setattr(fetching, "HTTPSConnection", Maker)
    assert https_get(url) == Answer(b"list", {"x-name": "value"})
    monkeypatch.setattr(Maker, "body", bytes(fetching.MAX_BYTES + 1))
    with pytest.raises(FetchFailed, match="131073 bytes"):
        https_get(url)
    monkeypatch.setattr(Maker, "status", 302)
    with pytest.raises(FetchFailed, match="status 302"):
        https_get(url)
    with pytest.raises(FetchFailed, match="does not answer"):
        https_get("https://kdsintf.amd.com/down")


def test_a_document_has_one_spelling() -> None:
    data = INTEL.collateral()
    read_collateral(data)
    read_collateral(json.dumps(json.loads(data), separators=(",", ":")).encode())
    for other in (
        json.dumps(json.loads(data)).encode(),
        data + b"\n",
        b" " + data,
        data.replace(b'"', b"'"),
        b"{}",
        b"[",
    ):
        with pytest.raises(EvidenceRefused):
            read_collateral(other)
