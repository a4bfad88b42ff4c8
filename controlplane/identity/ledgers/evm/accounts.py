"""The account that pays for what is written: a private key in a file that only its owner reads."""

import os
import re
from pathlib import Path
from typing import Any

import controlplane.identity.ledgers.evm.unlifted  # noqa: F401 - before what it keeps from changing the process

# isort: split
from eth_account import Account

from controlplane.identity.ledgers.evm.settings import EvmInvalid

_KEY = re.compile(rb"(0x)?[0-9a-fA-F]{64}\s*")
_MOST_BYTES = 128


def load_account(path: Path) -> Any:
    """Return the account of a key file. Its text form does not show the key.

    Raises:
        EvmInvalid: it cannot be read, others can reach it, or it holds no key.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise EvmInvalid(f"ZTFM_EVM_KEY_FILE: {path}: {error.strerror}") from None
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode & 0o777
        if mode & 0o077:
            raise EvmInvalid(
                f"ZTFM_EVM_KEY_FILE: {path} has mode {mode:04o}, so others can reach the key. If nobody did, run "
                f"`chmod 600 {path}`; otherwise move the account's coins and admit another account."
            )
        content = file.read(_MOST_BYTES)
    if not _KEY.fullmatch(content):
        raise EvmInvalid(f"ZTFM_EVM_KEY_FILE: {path} holds no private key of 64 hexadecimal digits")
    try:
        return Account.from_key(content.strip().decode())
    except ValueError:
        raise EvmInvalid(f"ZTFM_EVM_KEY_FILE: {path} holds a number that is no secp256k1 key") from None


def create_account(path: Path) -> Any:
    """Return a new account, whose key was written to a new file of mode 0600.

    Raises:
        EvmInvalid: the file is there already, or cannot be written.
    """
    account = Account.create()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise EvmInvalid(f"{path}: {error.strerror}") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(account.key.hex().encode() + b"\n")
        file.flush()
        os.fsync(descriptor)
    return account
