import shutil

import pytest

from tests.servers.wireguard import WireGuardMissing, ensure_wireguard


def test_without_go_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(WireGuardMissing, match="built with Go"):
        ensure_wireguard()
