"""What a newcomer shows is what it was given, bound to its key anew each time, and nothing that others could use."""

from pathlib import Path

import pytest

from adapters.presenting import MAX_FILE_BYTES, Certificates, Credential
from controlplane.contracts.identity import MAX_CREDENTIAL_CHARS
from tests.controlplane.identity.credentials.factory import Authority, pem
from tests.controlplane.identity.credentials.world import DEVICE, HERE, NOW, accepted, issued, parts

ROOT = Authority("root")


def test_each_presentation_is_another_and_each_holds() -> None:
    credential = Credential(issued())
    one, two = (credential.present(DEVICE, HERE, NOW) for _ in range(2))
    assert one != two
    assert accepted(one)[1].use_id != accepted(two)[1].use_id
    assert parts(one.rpartition("~")[2])[1].keys() == {"iat", "aud", "nonce", "sd_hash"}


@pytest.mark.parametrize(
    "text",
    ["", "a.b.c", "a.b.c~d", "a.b~", "a.b.c~~", "a.b.c~d e~", "a.b.c~d~e.f.g", "a" * MAX_CREDENTIAL_CHARS + ".b.c~"],
)
def test_what_is_no_credential_is_not_taken_for_one(text: str) -> None:
    with pytest.raises(ValueError, match="a credential is"):
        Credential(text)


def test_a_credential_is_not_printed() -> None:
    assert issued().partition(".")[0] not in repr(Credential(issued()))


def test_a_file_holds_a_credential_with_or_without_an_end_of_line(tmp_path: Path) -> None:
    text = issued()
    for end in ("", "\n", "\r\n"):
        (tmp_path / "hub.txt").write_text(text + end, newline="")
        assert Credential.of_file(tmp_path / "hub.txt").sd_jwt == text


def test_a_file_holds_a_chain_whatever_stands_between(tmp_path: Path) -> None:
    chain = pem(ROOT.device(DEVICE), ROOT.certificate)
    (tmp_path / "chain.pem").write_text("subject=hub-3\n" + "\nissuer=root\n".join(chain).replace("\n", "\r\n"))
    found = Certificates.of_file(tmp_path / "chain.pem").chain
    assert ["".join(one.split()) for one in found] == ["".join(one.split()) for one in chain]


@pytest.mark.parametrize(
    "content", [b"", b"nothing", b"\xff", b"x" * (MAX_FILE_BYTES + 1), "".join(pem(ROOT.certificate)).encode() * 6]
)
def test_a_file_that_holds_neither_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    for kind in (Certificates, Credential):
        with pytest.raises(ValueError, match=r"credential|certificates"):
            kind.of_file(tmp_path / "file")
