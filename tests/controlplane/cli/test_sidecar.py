import json
from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from controlplane.bundles import BundleSigner
from controlplane.cli.commands import app


def prepare(folder: Path, *arguments: str | Path, **settings: str) -> Result:
    """Prepare a folder for an OPA, with a state folder beside it."""
    chosen = {"ZTFM_STATE_DIR": str(folder.parent / "state"), **settings}
    return CliRunner().invoke(app, ["sidecar", "prepare", "--dir", str(folder), *map(str, arguments)], env=chosen)


def test_prepare_writes_configuration_keys_and_token_for_nobody_else_to_read(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    (folder / "kept").mkdir(parents=True)
    result = prepare(folder, "--json")
    assert result.exit_code == 0, result.stderr
    said = json.loads(result.stdout)
    config = json.loads((folder / "opa-config.json").read_text())
    signer = BundleSigner.load(tmp_path / "state" / "policy-signing.key")
    assert signer is not None
    assert said == {"config": str(folder / "opa-config.json"), "layers": ["base"], "keys": [signer.key_id]}
    assert config["keys"] == {signer.key_id: {"algorithm": "ES256", "key": signer.public_pem}}
    assert not (folder / "kept").exists(), "an earlier policy would decide first"
    assert config["services"]["publisher"]["url"] == "http://127.0.0.1:8183"
    assert config["bundles"]["ztfm"]["resource"] == "ztfm.tar.gz"
    assert config["bundles"]["ztfm"]["signing"] == {"scope": "base"}
    assert json.loads((folder / "layers.json").read_text()) == {"layers": {"expected": []}}
    assert len((folder / "opa-token").read_text()) >= 32
    for name in ("opa-config.json", "opa-token", "layers.json"):
        assert (folder / name).stat().st_mode & 0o077 == 0


def test_prepare_trusts_the_keys_of_the_trust_folder_and_expects_the_layers_of_the_settings(tmp_path: Path) -> None:
    signers = {layer: BundleSigner.generate() for layer in ("base", "site")}
    for layer, signer in signers.items():
        (tmp_path / "trust" / layer).mkdir(parents=True)
        (tmp_path / "trust" / layer / "one.pem").write_text(signer.public_pem)
    settings = {"ZTFM_POLICY_TRUST_DIR": str(tmp_path / "trust"), "ZTFM_POLICY_LAYERS": "site"}
    result = prepare(tmp_path / "run", "--json", **settings)
    assert json.loads(result.stdout)["keys"] == sorted(signer.key_id for signer in signers.values())
    assert not (tmp_path / "state" / "policy-signing.key").exists()
    config = json.loads((tmp_path / "run" / "opa-config.json").read_text())
    assert {name: bundle["signing"]["scope"] for name, bundle in config["bundles"].items()} == {
        "ztfm": "base",
        "site": "site",
    }
    assert json.loads((tmp_path / "run" / "layers.json").read_text()) == {"layers": {"expected": ["site"]}}


def test_prepare_makes_the_tokens_of_one_route_for_the_group_to_read_and_keeps_them(tmp_path: Path) -> None:
    metrics, alerts = tmp_path / "m" / "metrics-token", tmp_path / "a" / "alerts-token"
    for path in (metrics, alerts):
        path.parent.mkdir()
    kept = []
    for _ in range(2):
        assert prepare(tmp_path / "run", "--metrics-token", metrics, "--alerts-token", alerts).exit_code == 0
        kept.append((metrics.read_text(), alerts.read_text()))
    assert kept[0] == kept[1]
    assert kept[0][0] != kept[0][1]
    assert {path.stat().st_mode & 0o777 for path in (metrics, alerts)} == {0o640}


def test_a_folder_that_cannot_be_written_and_keys_that_are_none_are_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = prepare(tmp_path / "file" / "run", "--state-dir", tmp_path / "state")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    empty = prepare(tmp_path / "run", ZTFM_POLICY_TRUST_DIR=str(tmp_path / "trust"))
    assert empty.exit_code == 1
    assert "holds no keys" in empty.stderr


def test_a_token_in_use_is_kept_and_an_empty_one_replaced(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    path = tmp_path / "run" / "opa-token"
    path.write_text("in use\n")
    path.chmod(0o644)
    assert prepare(tmp_path / "run").exit_code == 0
    assert path.read_text() == "in use\n"
    assert path.stat().st_mode & 0o077 == 0
    path.write_text("")
    assert prepare(tmp_path / "run").exit_code == 0
    assert len(path.read_text()) >= 32
