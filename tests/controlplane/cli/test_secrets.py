import asyncio
import json
import os
import stat
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from controlplane.capabilities.sealing import Sealer
from controlplane.cli.commands import app
from controlplane.confidentiality.keeping import SecretBook
from controlplane.confidentiality.shards import shard_secret
from controlplane.storage import open_store
from tests.adapters.sealed.weights import write_weights


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "state").mkdir()
    here = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(here)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def told(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def kept(folder: Path, name: str) -> bytes:
    async def look() -> bytes:
        store = await open_store(f"sqlite+aiosqlite:///{folder / 'state' / 'ztfm.db'}")
        try:
            book = SecretBook(store.secrets, Sealer.load_or_create(folder / "state" / "sealing.key"), lambda: 0.0)
            found = await book.find(name)
            assert found is not None
            return book.open(found)
        finally:
            await store.close()

    return asyncio.run(look())


SEAL = (
    *("models", "seal", "m.safetensors", "--out", "m.sealed", "--model", "m", "--key", "model.key", "--round", "r-1"),
    *("--revision", "rev-1", "--shard", "adapter=*lora*", "--shard", "rest=*"),
)


def test_weights_are_sealed_shown_selected_and_opened_by_their_owner(folder: Path) -> None:
    values = write_weights(folder / "m.safetensors")
    sealed = told(*SEAL)
    assert [shard["name"] for shard in sealed["shards"]] == ["adapter", "rest"]
    assert stat.S_IMODE((folder / "model.key").stat().st_mode) == 0o600
    assert told("models", "sealed", "m.sealed") == sealed
    few = told("models", "select", "m.sealed", "--out", "few.sealed", "--shard", "adapter")
    assert [shard["present"] for shard in few["shards"]] == [True, False]
    opened = told("models", "unseal", "m.sealed", "--out", "o.safetensors", "--model", "m", "--key", "model.key")
    assert set(opened["tensors"]) == set(values)
    some = told("models", "unseal", "few.sealed", "--out", "a.safetensors", "--model", "m", "--key", "model.key")
    assert set(some["tensors"]) == {name for name in values if "lora" in name}


def test_what_does_not_open_says_why_and_with_which_status(folder: Path) -> None:
    write_weights(folder / "m.safetensors")
    told(*SEAL)
    opening = ("models", "unseal", "m.sealed", "--out", "o", "--model")
    (folder / "other.key").write_text("A" * 43 + "=\n")
    (folder / "other.key").chmod(0o600)
    for arguments, status, why in (
        ((*opening, "n", "--key", "model.key"), 1, "another model"),
        ((*opening, "m", "--key", "other.key"), 1, "does not open"),
        ((*opening, "m", "--key", "none.key"), 2, "is not there"),
        ((*opening, "m", "--key", "m.safetensors"), 2, "mode"),
        (("models", "sealed", "none.sealed"), 2, "No such file"),
        (("models", "select", "m.sealed", "--out", "o", "--shard", "head"), 1, "not head"),
        ((*SEAL[:-2], "--shard", "nothing"), 2, "NAME=PATTERN"),
        (SEAL[:-2], 1, "no shard takes the tensor"),
    ):
        result = run(*arguments)
        assert (result.exit_code, why in result.output) == (status, True), result.output
    assert not (folder / "o").exists()


def test_the_keys_of_shards_are_kept_from_the_models_key(folder: Path) -> None:
    write_weights(folder / "m.safetensors")
    told(*SEAL)
    made = told("secrets", "register", "m/adapter", "--model-key", "model.key", "--state-dir", "state")
    assert (made["id"], made["made_here"], made["size_bytes"]) == ("m/adapter", False, 32)
    key = urlsafe_b64decode((folder / "model.key").read_bytes().strip())
    assert kept(folder, "m/adapter") == shard_secret(key, "m", "adapter")


def test_a_models_key_is_not_kept_to_be_released_by_mistake(folder: Path) -> None:
    write_weights(folder / "m.safetensors")
    told(*SEAL)
    refused = run("secrets", "register", "m/adapter", "--file", "model.key", "--state-dir", "state")
    assert refused.exit_code == 2
    assert "--model-key" in refused.output
    assert (folder / "model.key").read_text().strip() not in refused.output


def test_a_secret_is_kept_listed_and_withdrawn(folder: Path) -> None:
    at = ("--state-dir", "state")
    (folder / "value").write_bytes(b"sixteen bytes or")
    (folder / "value").chmod(0o600)
    told("secrets", "register", "brought", "--file", "value", *at)
    told("secrets", "register", "made", *at)
    assert kept(folder, "brought") == b"sixteen bytes or"
    listed = run("secrets", "list", *at)
    assert "brought" in listed.output
    assert "sixteen" not in listed.output
    assert run("secrets", "register", "made", *at).exit_code == 1
    assert told("secrets", "withdraw", "made", *at) == {"withdrawn": "made"}
    assert run("secrets", "withdraw", "made", *at).exit_code == 1
    assert [one["id"] for one in told("secrets", "list", *at)["secrets"]] == ["brought"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("bad name",),
        ("m/adapter", "--file", "open"),
        ("m/adapter", "--file", "short"),
        ("m/adapter", "--file", "none"),
        ("m/adapter", "--file", "short", "--model-key", "short"),
        ("adapter", "--model-key", "short"),
        ("m/adapter", "--model-key", "short"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_two(folder: Path, arguments: tuple[str, ...]) -> None:
    for name, mode in (("open", 0o644), ("short", 0o600)):
        (folder / name).write_bytes(b"fifteen bytes..")
        (folder / name).chmod(mode)
    assert run("secrets", "register", *arguments, "--state-dir", "state").exit_code == 2


def test_no_state_folder_is_made_for_a_secret(folder: Path) -> None:
    assert run("secrets", "register", "one", "--state-dir", "mistyped").exit_code == 1
    assert not (folder / "mistyped").exists()
