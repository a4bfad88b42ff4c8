"""Settings are read once, from the environment, and what cannot work is refused with its name."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from controlplane.settings import Settings


def test_defaults_stay_on_this_machine() -> None:
    settings = Settings()
    assert settings.listen_host == "127.0.0.1"
    assert settings.resolved_public_url == "http://127.0.0.1:8181"
    assert settings.resolved_database_url.startswith("sqlite+aiosqlite:////")
    assert settings.newcomer_trust == 0.6


def test_the_environment_is_read_with_its_prefix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ZTFM_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("ZTFM_PUBLIC_URL", "https://control.example/")
    monkeypatch.setenv("ZTFM_SOMETHING_ELSE", "x")
    settings = Settings()
    assert settings.state_dir == tmp_path
    assert settings.resolved_public_url == "https://control.example"
    assert settings.resolved_database_url == f"sqlite+aiosqlite:///{tmp_path}/ztfm.db"


@pytest.mark.parametrize(
    "given",
    [
        {"tls_cert_file": Path("x")},
        {"tls_key_file": Path("x")},
        {"tls_port": 8443},
        {"tls_client_ca_file": Path("x")},
        {"tls_minimum": "1.1"},
        {"shared_limits": "store"},
        {"shared_limits": "store", "database_url": "sqlite+aiosqlite:///x.db"},
        {"shared_limits": "memory"},
        {"listen_socket_mode": "666"},
        {"oidc_issuer": "https://login.example"},
        {"oidc_audience": "ztfm"},
        {"oidc_issuer": "http://login.example", "oidc_audience": "ztfm"},
        {"oidc_issuer": "ftp://login.example", "oidc_audience": "ztfm"},
        {"oidc_client_id": "console"},
        {"oidc_issuer": "https://login.example", "oidc_audience": "ztfm", "oidc_client_secret_file": Path("secret")},
        {"oidc_issuer": "https://login.example", "oidc_audience": "ztfm", "oidc_client_id": ""},
        {"console": "perhaps"},
        {"listen_port": 65_536},
        {"listen_port": -1},
        {"public_url": "control.example"},
        {"opa_url": "unix:///x", "opa_mode": "external"},
        {"opa_mode": "external", "opa_url": "http://x"},
        {"opa_mode": "external", "opa_token_file": Path("x")},
        {"opa_deadline_seconds": 0.0},
        {"queue": 0},
        {"newcomer_trust": 1.1},
        {"decision_days": 0.0},
        {"federation": "../x"},
        {"log_level": "loud"},
    ],
)
def test_what_cannot_work_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(**given)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        setattr(Settings(), "queue", 1)  # noqa: B010 - the type checker knows it too


def test_tls_stands_beside_the_plain_port_or_alone() -> None:
    files = {"tls_cert_file": Path("a"), "tls_key_file": Path("b")}
    alone = Settings(**files, listen_host="::1", listen_port=8443)
    assert alone.serves_tls_alone
    assert alone.resolved_public_url == alone.resolved_tls_public_url == "https://[::1]:8443"
    beside = Settings(**files, tls_port=8443, public_url="http://control.example:8181")
    assert not beside.serves_tls_alone
    assert beside.resolved_public_url == "http://control.example:8181"
    assert beside.resolved_tls_public_url == "https://control.example:8443"
    assert Settings(**files, tls_port=1, tls_public_url="https://tls.example/").resolved_tls_public_url == (
        "https://tls.example"
    )
    assert Settings().resolved_tls_public_url == ""
