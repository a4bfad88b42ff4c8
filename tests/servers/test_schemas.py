from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest

from tests.servers import schemas
from tests.servers.schemas import SchemaMissing, network_policy


def test_unknown_fields_are_errors() -> None:
    try:
        validator = jsonschema.Draft202012Validator(network_policy())
    except SchemaMissing as missing:
        pytest.skip(str(missing))
    wrong = {"apiVersion": "x", "kind": "x", "metadata": {}, "spec": {"unknown": 1}}
    assert any("unknown" in error.message for error in validator.iter_errors(wrong))


def test_a_wheel_that_is_not_the_pinned_one_is_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(schemas, "FOLDER", tmp_path)
    monkeypatch.setattr(schemas, "_WHEEL", f"no-such-package-of-ztfm @ {tmp_path.as_uri()} --hash=sha256:{'0' * 64}")
    with pytest.raises(SchemaMissing, match="failed"):
        network_policy()
    assert [each.name for each in tmp_path.iterdir()] == ["lock"]
