"""What the EVM ledger is told by environment variables, and its key file."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from eth_account import Account
from structlog.testing import capture_logs

from controlplane.identity.ledgers.evm.accounts import create_account, load_account
from controlplane.identity.ledgers.evm.settings import EvmInvalid, EvmSettings, open_ledger

GIVEN = {
    "ZTFM_EVM_URL": "https://one.example/v3/secret, https://two.example",
    "ZTFM_EVM_CHAIN": "11155111",
    "ZTFM_EVM_RECORDS": "0x" + "ab" * 20,
}


def test_settings_are_read_and_what_is_of_others_is_not() -> None:
    found = EvmSettings.read(
        {**GIVEN, "ZTFM_EVM_CONFIRMATIONS": "finalized", "ZTFM_EVM_DEADLINE_SECONDS": "5", "ZTFM_STATE_DIR": "/x"}
    )
    assert found.urls == ("https://one.example/v3/secret", "https://two.example")
    assert (found.chain, found.confirmations, found.deadline_seconds) == (11155111, "finalized", 5.0)
    assert EvmSettings.read({**GIVEN, "ZTFM_EVM_CONFIRMATIONS": "3"}).confirmations == 3
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    ("confirmations", "chain", "late", "said"),
    [
        ("finalized", "7", "", "to 2304"),
        ("finalized", "7", "2304", ""),
        ("12", "1", "", "to 288"),
        ("9", "1", "", ""),
        ("12", "7", "", ""),
    ],
)
def test_a_record_that_is_late_before_it_can_be_final_is_warned_of(
    confirmations: str, chain: str, late: str, said: str
) -> None:
    given = {**GIVEN, "ZTFM_EVM_CONFIRMATIONS": confirmations, "ZTFM_EVM_CHAIN": chain}
    with capture_logs() as logged:
        open_ledger({**given, "ZTFM_LEDGER_LATE_SECONDS": late}, time.time, federation="x", founders={})
    assert bool(logged) == bool(said)
    assert said in "".join(one["remedy"] for one in logged)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("URL", ""),
        ("URL", "http://one.example/secret"),
        ("URL", "ftp://one.example/secret"),
        ("URL", "https:///secret"),
        ("URL", "https://one.example,https://one.example"),
        ("CHAIN", ""),
        ("CHAIN", "0"),
        ("CHAIN", "mainnet"),
        ("RECORDS", "0x12"),
        ("DIDS", "ab" * 20),
        ("CONFIRMATIONS", "-1"),
        ("CONFIRMATIONS", "101"),
        ("CONFIRMATIONS", "latest"),
        ("RANGE_BLOCKS", "0"),
        ("DEADLINE_SECONDS", "0"),
        ("MOST_FEE_GWEI", "none"),
        ("CONFIRMATION", "3"),
    ],
)
def test_a_setting_that_is_missing_wrong_or_unknown_is_named_and_not_repeated(name: str, value: str) -> None:
    with pytest.raises(EvmInvalid, match=f"ZTFM_EVM_{name}") as caught:
        EvmSettings.read({**GIVEN, f"ZTFM_EVM_{name}": value})
    assert "secret" not in str(caught.value)


def test_without_a_contract_or_with_a_key_that_is_none_no_ledger_is_opened(tmp_path: Path) -> None:
    with pytest.raises(EvmInvalid, match="ZTFM_EVM_RECORDS"):
        open_ledger({**GIVEN, "ZTFM_EVM_RECORDS": ""}, time.time, federation="x", founders={})
    with pytest.raises(EvmInvalid, match="ZTFM_EVM_KEY_FILE"):
        open_ledger({**GIVEN, "ZTFM_EVM_KEY_FILE": str(tmp_path / "no")}, time.time, federation="x", founders={})
    assert open_ledger(GIVEN, time.time, federation="x", founders={}).name == "evm"


def test_a_key_that_others_can_reach_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "key"
    made = create_account(path)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert load_account(path).address == made.address
    path.chmod(0o640)
    with pytest.raises(EvmInvalid, match="mode 0640"):
        load_account(path)


@pytest.mark.parametrize("content", ["", "0x12", "g" * 64, "0" * 64, "f" * 64, "a" * 64 + " " + "a" * 64])
def test_what_is_no_key_is_refused_and_not_shown(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(EvmInvalid) as caught:
        load_account(path)
    assert not content or content not in str(caught.value)


def test_an_account_s_text_shows_no_key(tmp_path: Path) -> None:
    path = tmp_path / "key"
    account = create_account(path)
    assert Account.from_key(path.read_text().strip()).address == account.address
    assert path.read_text().strip() not in repr(account) + str(account)


def test_without_web3_it_says_what_to_install() -> None:
    program = (
        "import sys\n"
        "for name in ('web3', 'eth_account', 'eth_utils'): sys.modules[name] = None\n"
        "from controlplane.identity.ledgers.evm import open_ledger\n"
        f"open_ledger({GIVEN!r}, None, federation='x', founders={{}})\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "ztfm[evm]" in done.stderr


def test_the_document_names_each_setting_and_no_other() -> None:
    text = (Path(__file__).parents[5] / "docs" / "ledger-evm.md").read_text()
    rows = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `ZTFM_EVM_")}
    names = {"url" if name == "urls" else name for name in EvmSettings.model_fields}
    assert rows == {f"ZTFM_EVM_{name.upper()}" for name in names}
