import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from controlplane.identifiers.didkey import did_key, key_document
from controlplane.jose.keys import DeviceKey
from tests.controlplane.identity.resolving.pages import Pages, published
from tests.controlplane.identity.resolving.threads import pages_on_a_thread

Quick = Callable[..., Result]

KNOWN = "did:key:zDnaerx9CtbPJ1q36T5Ln5wYt3MQYeGRG5ehnPAmxcf5mDZpv"


def test_a_key_is_shown_for_people_and_for_programs(quick: Quick) -> None:
    shown = quick("identity", "resolve", KNOWN)
    assert shown.exit_code == 0
    assert shown.stdout.startswith(KNOWN)
    assert "P-256" in shown.stdout
    printed = json.loads(quick("identity", "resolve", KNOWN, "--json").stdout)
    assert printed["didDocument"] == key_document(KNOWN).model_dump(mode="json", exclude_none=True)


def test_a_key_needs_no_control_plane(quick: Quick, tmp_path: Path) -> None:
    did = did_key(DeviceKey.generate().public)
    assert quick("identity", "resolve", did, ZTFM_STATE_DIR=str(tmp_path / "nowhere")).exit_code == 0
    assert not (tmp_path / "nowhere").exists()


def test_a_device_that_is_not_enrolled_has_none(quick: Quick) -> None:
    shown = quick("identity", "resolve", "dev-" + "A" * 43)
    assert shown.exit_code == 1
    assert "notFound" in shown.stderr


def test_a_name_without_a_store_says_what_to_do(quick: Quick, tmp_path: Path) -> None:
    shown = quick("identity", "resolve", "dev-" + "A" * 43, ZTFM_STATE_DIR=str(tmp_path / "nowhere"))
    assert shown.exit_code == 1
    assert "--state-dir" in shown.stderr


@pytest.mark.parametrize("did", ["did:web:example.com", "did:key:z", "nonsense", "did:ethr:0x1"])
def test_what_does_not_resolve_is_a_failure_in_both_forms(quick: Quick, did: str) -> None:
    assert quick("identity", "resolve", did).exit_code == 1
    printed = quick("identity", "resolve", did, "--json")
    assert printed.exit_code == 1
    assert json.loads(printed.stdout)["didResolutionMetadata"]["error"]["title"]


def test_an_organisation_is_asked_where_the_settings_name_it(quick: Quick) -> None:
    with pages_on_a_thread() as pages:
        did, key = pages.did("localhost"), DeviceKey.generate()
        pages.put(published(did, key))
        named = {"ZTFM_DID_WEB_ORGANISATIONS": did, "ZTFM_DID_WEB_REACH": "lab"}
        shown = quick("identity", "resolve", did, **named)
        assert shown.exit_code == 0, shown.stderr
        assert key.thumbprint in shown.stdout
        _not_without(quick, pages, did)


def test_the_organisation_of_this_machine_is_known_without_asking(quick: Quick, state: Path) -> None:
    ours, named = DeviceKey.generate(), {"ZTFM_ORGANISATION_DID": "did:web:example.com"}
    assert "notAllowed" in quick("identity", "resolve", "did:web:example.com", **named).stderr
    assert not (state / "organisation.key").exists(), "looking makes no key"
    (state / "organisation.key").write_bytes(ours.to_pem())
    (state / "organisation.key").chmod(0o600)
    shown = quick("identity", "resolve", "did:web:example.com", **named)
    assert shown.exit_code == 0, shown.stderr
    assert ours.thumbprint in shown.stdout


def _not_without(quick: Quick, pages: Pages, did: str) -> None:
    asked = len(pages.asked)
    assert "ZTFM_DID_WEB_ORGANISATIONS" in quick("identity", "resolve", did).stderr
    assert len(pages.asked) == asked


@pytest.mark.parametrize("named", ["example.com", "did:web:1.2.3.4", "did:key:z", "did:web:Example.com"])
def test_a_setting_that_names_no_organisation_is_refused(quick: Quick, named: str) -> None:
    shown = quick("identity", "resolve", KNOWN, ZTFM_DID_WEB_ORGANISATIONS=named)
    assert shown.exit_code == 2
    assert "ZTFM_DID_WEB_ORGANISATIONS" in shown.stderr


def test_a_method_that_nobody_brings_ends_it(quick: Quick) -> None:
    shown = quick("identity", "resolve", KNOWN, ZTFM_DID_METHODS="key,nowhere")
    assert shown.exit_code == 1
    assert "ZTFM_DID_METHODS" in shown.stderr
