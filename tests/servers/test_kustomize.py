import shutil
from pathlib import Path

import pytest

from tests.servers import kustomize
from tests.servers.kustomize import KustomizeMissing, ensure_kustomize, rendered


def test_without_go_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kustomize, "FOLDER", tmp_path)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(KustomizeMissing, match="built with Go"):
        ensure_kustomize()


def test_what_does_not_render_says_why(tmp_path: Path) -> None:
    try:
        ensure_kustomize()
    except KustomizeMissing as missing:
        pytest.skip(str(missing))
    (tmp_path / "kustomization.yaml").write_text("resources: [nowhere.yaml]\n")
    with pytest.raises(RuntimeError, match="nowhere"):
        rendered(tmp_path)
