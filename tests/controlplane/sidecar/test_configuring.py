"""OPA starts from private files: every bundle wants a signature for its layer, and decisions are not logged there."""

import json
import stat
from pathlib import Path

from controlplane.sidecar.configuring import CONFIG, EXPECTED, write_config


def test_it_keeps_the_last_good_bundle_and_logs_no_decisions(tmp_path: Path) -> None:
    write_config(tmp_path, "http://127.0.0.1:1", "token")
    config = json.loads((tmp_path / CONFIG).read_text())
    assert config["bundles"]["ztfm"]["persist"] is True
    assert "decision_logs" not in config
    assert "keys" not in config
    assert stat.S_IMODE((tmp_path / CONFIG).stat().st_mode) == 0o600


def test_each_layer_has_a_bundle_of_its_own_signed_for_it_by_a_known_key(tmp_path: Path) -> None:
    layers = ("base", "tenant", "site")
    write_config(tmp_path, "http://127.0.0.1:1", "token", layers=layers, keys={"kid": "PEM"})
    config = json.loads((tmp_path / CONFIG).read_text())
    assert config["keys"] == {"kid": {"algorithm": "ES256", "key": "PEM"}}
    assert {name: bundle["signing"] for name, bundle in config["bundles"].items()} == {
        "ztfm": {"scope": "base"},
        "tenant": {"scope": "tenant"},
        "site": {"scope": "site"},
    }
    assert [bundle["resource"] for bundle in config["bundles"].values()] == [
        "ztfm.tar.gz",
        "tenant.tar.gz",
        "site.tar.gz",
    ]
    assert json.loads((tmp_path / EXPECTED).read_text()) == {"layers": {"expected": ["tenant", "site"]}}


def test_nothing_trusted_is_not_everything_trusted(tmp_path: Path) -> None:
    write_config(tmp_path, "http://127.0.0.1:1", "token", keys={})
    assert json.loads((tmp_path / CONFIG).read_text())["bundles"]["ztfm"]["signing"] == {"scope": "base"}


def test_requests_are_held_only_where_the_publisher_can(tmp_path: Path) -> None:
    for hold in (True, False):
        write_config(tmp_path, "http://127.0.0.1:1", "token", hold=hold)
        polling = json.loads((tmp_path / CONFIG).read_text())["bundles"]["ztfm"]["polling"]
        assert ("long_polling_timeout_seconds" in polling) is hold
