"""Devices of a fleet that show what an issuer or their manufacturer says of them: no administrator is needed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from adapters.fleet import Outcome
from controlplane.capabilities.keyfiles import create_private
from controlplane.jose.keys import DeviceKey, load_public
from examples.enrolment import issuer
from tests.adapters.fleet.conftest import journalled
from tests.controlplane.api.accepting import accepting, manufacturers
from tests.controlplane.identity.credentials.factory import Authority, pem
from tests.support import ControlPlane, running

Fleet, Run = Callable[..., Path], Callable[..., Outcome]

MAKER = Authority("Example Devices root")
ISSUER = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def accepts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    folder = tmp_path_factory.mktemp("accepts")
    policies = accepting(folder, issuer.did_of(ISSUER.public_key()))
    with running(policies=policies, manufacturers_dir=manufacturers(folder, MAKER)) as plane:
        yield plane


def credential(key: DeviceKey) -> str:
    return issuer.issue(ISSUER, load_public(key.public), {"model": "hub-3"})


def test_credentials_and_certificates_enrol_the_keys_that_they_name(
    accepts: ControlPlane, fleet: Fleet, run: Run, tmp_path: Path
) -> None:
    keys = [DeviceKey.generate() for _ in range(3)]
    for number, key in enumerate(keys):
        create_private(tmp_path / "keys" / f"{number}.pem", key.to_pem())
    (tmp_path / "0.txt").write_text(credential(keys[0]) + "\n")
    (tmp_path / "1.pem").write_text("".join(pem(MAKER.device(keys[1], number="0101"))))
    (tmp_path / "2.txt").write_text(credential(DeviceKey.generate()))
    rows = [
        ["hub-0", "trainer", "homes", "keys/0.pem", "0.txt", ""],
        ["hub-1", "trainer", "homes", "keys/1.pem", "", "1.pem"],
        ["hub-2", "trainer", "homes", "keys/2.pem", "2.txt", ""],
    ]
    file = fleet(rows, columns="name,roles,segment,key,credential,certificates")
    outcome = run(file, admin=None, url=accepts.url)
    assert (outcome.enrolled, outcome.failed) == (2, 1)
    assert outcome.faults[0].name == "hub-2"
    assert "credential_bound" in outcome.faults[0].what
    station = tmp_path / "station"
    assert {entry.get("id") for entry in journalled(station)} >= {f"dev-{key.thumbprint}" for key in keys[:2]}
    (station / "journal.ndjson").unlink()
    again = run(file, admin=None, url=accepts.url)
    assert (again.enrolled, again.found, again.failed) == (2, 2, 1)


def test_a_file_that_holds_neither_is_found_before_anything_is_asked(fleet: Fleet, run: Run, tmp_path: Path) -> None:
    create_private(tmp_path / "0.pem", DeviceKey.generate().to_pem())
    (tmp_path / "0.txt").write_text("no credential")
    rows = [["hub-0", "trainer", "homes", "0.pem", "0.txt", ""], ["hub-1", "trainer", "homes", "0.pem", "", "0.txt"]]
    outcome = run(fleet(rows, columns="name,roles,segment,key,credential,certificates"))
    assert (outcome.ended, outcome.enrolled) == ("invalid", 0)
    assert [fault.what.partition(":")[0] for fault in outcome.faults] == [
        "the file of its credential will not do",
        "its key is that of line 2",
        "the file of its certificates will not do",
    ]
