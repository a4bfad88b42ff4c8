"""`ztfm identity ledger` against a real node: contracts that it deploys are those that the ledger uses."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from controlplane.identity.ledgers.evm import open_ledger
from controlplane.identity.ledgers.evm.accounts import create_account
from controlplane.identity.ledgers.interface import LedgerUnavailable
from controlplane.jose.keys import DeviceKey
from tests.controlplane.identity.ledgers.evm.chains import Remote
from tests.controlplane.identity.ledgers.evm.nodes import shared_hardhat
from tests.controlplane.identity.ledgers.people import Organisation, follow_all, records

Quick = Callable[..., Result]


@pytest.fixture
def chain() -> Remote:
    return Remote(shared_hardhat().url)


@pytest.fixture
async def environment(chain: Remote, tmp_path: Path) -> dict[str, str]:
    """The chain, and an account that was made by the command and has coins."""
    address = create_account(tmp_path / "key").address
    await chain.fund(address)
    return {
        "ZTFM_EVM_URL": chain.url,
        "ZTFM_EVM_CHAIN": str(chain.number),
        "ZTFM_EVM_KEY_FILE": str(tmp_path / "key"),
        "ZTFM_EVM_CONFIRMATIONS": "0",
    }


def said(done: Result) -> dict[str, dict[str, object]]:
    assert done.exit_code == 0, done.stderr
    found: dict[str, dict[str, object]] = json.loads(done.stdout)
    return found


async def test_what_is_deployed_is_written_to_by_whoever_is_admitted(
    quick: Quick, chain: Remote, environment: dict[str, str], tmp_path: Path
) -> None:
    made = await _in_thread(quick, "deploy", "--federation", "default", "--json", **environment)
    assert set(made) == {"records", "dids"}
    assert all(int(str(one["gas"])) > 500_000 for one in made.values())
    environment["ZTFM_EVM_RECORDS"] = str(made["records"]["address"])
    shown = await _in_thread(quick, "account", str(tmp_path / "other"), "--json")
    assert (tmp_path / "other").stat().st_mode & 0o777 == 0o600
    await chain.fund(str(shown["address"]))
    clinic = Organisation("did:web:clinic.example")
    given = {**environment, "ZTFM_EVM_KEY_FILE": str(tmp_path / "other")}
    ledger = open_ledger(given, time.time, federation="default", founders={clinic.did: clinic.key.public})
    record = clinic.registers(DeviceKey.generate())
    with pytest.raises(LedgerUnavailable, match="may not write"):
        await ledger.publish([record])
    await _in_thread(quick, "admit", str(shown["address"]), "--json", **environment)
    await ledger.publish([record])
    assert records((await follow_all(ledger))[0]) == [record]
    await _in_thread(quick, "dismiss", str(shown["address"]), "--json", **environment)
    with pytest.raises(LedgerUnavailable, match="may not write"):
        await ledger.publish([clinic.registers(DeviceKey.generate())])


async def _in_thread(quick: Quick, *words: str, **environment: str) -> dict[str, dict[str, object]]:
    import asyncio

    return said(await asyncio.to_thread(quick, "identity", "ledger", *words, **environment))


def test_what_is_deployed_is_shown_as_settings(quick: Quick, environment: dict[str, str]) -> None:
    done = quick("identity", "ledger", "deploy", "--federation", "x", "--no-dids", **environment)
    assert done.exit_code == 0
    assert done.stdout.startswith("ZTFM_EVM_RECORDS=0x")
    assert len(done.stdout.splitlines()) == 1


def test_nothing_is_deployed_where_a_setting_is_missing_or_wrong(quick: Quick, environment: dict[str, str]) -> None:
    words = ("identity", "ledger", "deploy", "--federation", "x")
    done = quick(*words, **{**environment, "ZTFM_EVM_CHAIN": "1"})
    assert (done.exit_code, "another chain" in done.stderr) == (1, True)
    done = quick(*words, **{**environment, "ZTFM_EVM_URL": "http://elsewhere.example/secret"})
    assert (done.exit_code, "ZTFM_EVM_URL" in done.stderr, "secret" in done.stderr) == (1, True, False)
    done = quick(*words, **{**environment, "ZTFM_EVM_KEY_FILE": "/no/such/file"})
    assert (done.exit_code, "ZTFM_EVM_KEY_FILE" in done.stderr) == (1, True)
    done = quick(*words, "--writer", "0x12", **environment)
    assert (done.exit_code, "40 hexadecimal digits" in done.stderr) == (2, True)


def test_a_node_that_is_not_there_is_named_without_what_its_url_holds(
    quick: Quick, environment: dict[str, str]
) -> None:
    given = {**environment, "ZTFM_EVM_URL": "http://127.0.0.1:9/secret"}
    done = quick("identity", "ledger", "deploy", "--federation", "x", **given)
    assert (done.exit_code, "127.0.0.1:9" in done.stderr, "secret" in done.stderr) == (1, True, False)


def test_a_key_is_never_overwritten(quick: Quick, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("mine")
    done = quick("identity", "ledger", "account", str(tmp_path / "key"))
    assert done.exit_code == 1
    assert (tmp_path / "key").read_text() == "mine"
