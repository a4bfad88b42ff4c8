import json
import sqlite3
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.controlplane.cli.processes import serve
from tests.support import wait_until

Quick = Callable[..., Result]


def standings(quick: Quick, *arguments: str) -> list[dict[str, Any]]:
    done = quick("keys", *arguments, "--json")
    assert done.exit_code == 0, done.stderr
    return list(json.loads(done.stdout)["keys"])


def states(quick: Quick) -> list[str]:
    return [key["state"] for key in standings(quick, "list")]


def test_a_store_without_keys_lists_none_and_makes_none(quick: Quick, state: Path) -> None:
    assert standings(quick, "list") == []
    assert not (state / "sealing.key").exists()


def test_keys_are_rotated_listed_and_withdrawn(quick: Quick, state: Path) -> None:
    (first,) = standings(quick, "rotate")
    assert first["state"] == "signing"
    (following,) = standings(quick, "rotate")
    assert following["state"] == "published"
    assert standings(quick, "rotate") == [following]
    assert states(quick) == ["signing", "published"]
    (withdrawn,) = standings(quick, "withdraw", following["kid"], "--reason", "a test")
    assert (withdrawn["kid"], withdrawn["state"]) == (following["kid"], "withdrawn")
    assert states(quick) == ["signing", "withdrawn"]
    with sqlite3.connect(state / "ztfm.db") as store:
        (document,) = store.execute("SELECT document FROM security_events").fetchone()
    assert b"credential-change" in document
    assert b"a test" in document


def test_a_table_is_for_people(quick: Quick) -> None:
    (key,) = standings(quick, "rotate")
    shown = quick("keys", "list", COLUMNS="80").stdout
    assert key["kid"] in shown, "whole, also on a narrow terminal"
    assert "signing" in shown
    assert "UTC" in shown


def test_all_are_withdrawn_when_the_sealing_key_is_lost(quick: Quick, state: Path) -> None:
    (first,) = standings(quick, "rotate")
    (state / "sealing.key").unlink()
    refused = quick("keys", "rotate")
    assert refused.exit_code == 1
    assert "restore the sealing key" in refused.stderr
    assert [key["kid"] for key in standings(quick, "withdraw", "--all", "--reason", "lost")] == [first["kid"]]
    assert sorted(states(quick)) == ["signing", "withdrawn"]
    assert quick("keys", "rotate").exit_code == 0


def test_a_name_that_begins_with_a_hyphen_is_a_name(quick: Quick) -> None:
    done = quick("keys", "withdraw", "-" + "A" * 42, "--reason", "a test")
    assert done.exit_code == 1
    assert "there is no key -AAA" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("withdraw", "A" * 43), "say why with --reason"),
        (("withdraw", "A" * 43, "--reason", "x" * 257), "say why with --reason"),
        (("withdraw", "A" * 43, "--reason", "a\nb"), "say why with --reason"),
        (("withdraw", "--reason", "x"), "name one key, or say --all"),
        (("withdraw", "A" * 43, "--all", "--reason", "x"), "name one key, or say --all"),
    ],
)
def test_what_cannot_be_meant_is_said(quick: Quick, arguments: tuple[str, ...], said: str) -> None:
    done = quick("keys", *arguments)
    assert done.exit_code == 2
    assert said in done.stderr


def test_a_store_that_cannot_be_opened_is_said(quick: Quick) -> None:
    done = quick("keys", "list", ZTFM_DATABASE_URL="mysql://x/y")
    assert done.exit_code == 1
    assert done.stderr.startswith("ztfm keys list: ")
    assert "Traceback" not in done.stderr


def test_a_control_plane_that_serves_follows_within_seconds(quick: Quick, state: Path) -> None:
    def published(url: str) -> list[str]:
        with urllib.request.urlopen(url + "/.well-known/jwks.json", timeout=10) as response:
            return [key["kid"] for key in json.load(response)["keys"]]

    with serve(state) as (_, line):
        (bad,) = published(line["url"])
        (following,) = standings(quick, "rotate")
        wait_until(lambda: published(line["url"]) == [bad, following["kid"]], 5)
        standings(quick, "withdraw", bad, "--reason", "a test")
        wait_until(lambda: bad not in published(line["url"]), 5)
        with urllib.request.urlopen(line["url"] + "/readyz", timeout=10) as response:
            assert response.status == 200
