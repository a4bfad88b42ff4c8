"""A device's key and name: private on disk, made once, and never anybody else's."""

from pathlib import Path

import pytest

from adapters.credentials import Credentials, Introduction, RoundTerms
from adapters.enrolment import load_identity, load_key, make_key
from adapters.errors import Conflict, ControlPlaneError
from adapters.member import Member
from controlplane.capabilities.errors import KeyFileError
from tests.support import DIGEST, ControlPlane


def enrol(plane: ControlPlane, folder: Path) -> str:
    with Member.enrol(folder, plane.url, plane.token(["trainer"], "homes")) as member:
        return member.id


def test_key_and_identity_are_readable_by_their_owner_alone(plane: ControlPlane, tmp_path: Path) -> None:
    enrol(plane, tmp_path / "device")
    for name in ("key.pem", "identity.json"):
        assert (tmp_path / "device" / name).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "device").stat().st_mode & 0o777 == 0o700


def test_a_device_is_the_same_after_it_was_closed(plane: ControlPlane, tmp_path: Path) -> None:
    name = enrol(plane, tmp_path)
    with Member.open(tmp_path) as member:
        assert member.id == name == load_identity(tmp_path).id
        assert load_identity(tmp_path).issuer == plane.url


def test_a_key_is_enrolled_once(plane: ControlPlane, tmp_path: Path) -> None:
    enrol(plane, tmp_path)
    with pytest.raises(Conflict):
        enrol(plane, tmp_path)
    with Member.open(tmp_path) as member:
        assert member.introduce("aggregator-1").subject == member.id


def test_an_enrolment_that_failed_keeps_the_key_for_the_next_try(plane: ControlPlane, tmp_path: Path) -> None:
    with pytest.raises(ControlPlaneError):
        Member.enrol(tmp_path, plane.url, "ztfm-enrol-nobody-issued-this")
    key = load_key(tmp_path)
    with pytest.raises(FileNotFoundError, match="enrol"):
        Member.open(tmp_path)
    assert enrol(plane, tmp_path).endswith(key.thumbprint)


@pytest.mark.parametrize("name", ["key.pem", "identity.json"])
def test_a_file_that_others_can_read_is_not_used(plane: ControlPlane, tmp_path: Path, name: str) -> None:
    enrol(plane, tmp_path)
    (tmp_path / name).chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        Member.open(tmp_path)


@pytest.mark.parametrize("name", ["key.pem", "identity.json"])
def test_a_file_with_other_content_is_not_used(plane: ControlPlane, tmp_path: Path, name: str) -> None:
    enrol(plane, tmp_path)
    (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(KeyFileError):
        Member.open(tmp_path)


def test_a_key_is_made_once(tmp_path: Path) -> None:
    assert make_key(tmp_path).thumbprint == make_key(tmp_path).thumbprint == load_key(tmp_path).thumbprint


def test_nothing_was_enrolled_in_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="enrol"):
        Member.open(tmp_path)


@pytest.mark.parametrize("kind", [Introduction, Credentials, RoundTerms])
@pytest.mark.parametrize("found", [{}, {"subject": 1, "proof": "p", "capability": "c"}, {"round_id": b"x"}])
def test_what_is_carried_is_text_and_complete(kind: type, found: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="needs"):
        kind.from_dict(found)  # type: ignore[attr-defined]


def test_terms_travel_and_come_back() -> None:
    terms = RoundTerms("run-1", "smart-home-intents", DIGEST, "aggregator-1")
    assert RoundTerms.from_dict({**terms.to_dict(), "stage": "pull"}) == terms


@pytest.mark.parametrize(
    "change", [{"round_id": ""}, {"model": "a b"}, {"audience": "é"}, {"model_digest": "sha256:0"}]
)
def test_terms_that_cannot_be_a_rounds_are_refused(change: dict[str, str]) -> None:
    good = {"round_id": "run-1", "model": "m", "model_digest": DIGEST, "audience": "a"}
    with pytest.raises(ValueError, match="terms"):
        RoundTerms.from_dict({**good, **change})
