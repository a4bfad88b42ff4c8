"""What the EVM ledger is told by environment variables, and the factory that the group ``ztfm.ledgers`` names."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import structlog
from pydantic import Field, StringConstraints, ValidationError, field_validator

from controlplane.contracts.base import StrictModel
from controlplane.contracts.identity import PublicKey
from controlplane.identity.ledgers.interface import Ledger

PREFIX = "ZTFM_EVM_"
INSTALL = "pip install 'ztfm[evm]'"
LATE = "ZTFM_LEDGER_LATE_SECONDS"

Address = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{40}$")]
"""An account or a contract, 20 bytes in hexadecimal."""

Confirmations = Annotated[int, Field(ge=0, le=100)] | Literal["finalized"]
"""Blocks that must follow one before it counts as final, or the chain's own word for it."""

_ETHEREUM = frozenset({1, 11155111, 560048})
"""Ethereum's chains: a block each twelve seconds, final after two epochs or three, of 6.4 minutes."""

_BLOCK_SECONDS, _FINALITY_SECONDS = 12.0, 3 * 384.0

_log = structlog.get_logger("ztfm.ledgers.evm")
_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?")


class EvmInvalid(Exception):  # noqa: N818 - named for what happened
    """The EVM ledger cannot be used as it is set up. The message names the setting and the remedy."""


class EvmSettings(StrictModel):
    """The chain, and how it is used.

    Attributes:
        urls: of nodes, JSON-RPC over HTTP. The first is asked; the others must show the same. A URL may hold a secret.
        chain: its number (EIP-155), so that nothing is signed for another.
        records: the contract that has the records.
        dids: the contract of did:ethr (ERC-1056); none where that is not used.
        key_file: private key of the account that writes, hexadecimal, mode 0600; none for whoever only reads.
        confirmations: after which a block counts as final. The node must know the state that far back; most keep 128.
        range_blocks: of which a node is asked for events at once.
        deadline_seconds: until a publication or a reading is given up.
        behind_seconds: age of the newest block from which on the node is held to be behind; none on a chain that makes
            blocks only when there is something to put in.
        most_fee_gwei: a unit of gas, 1e-9 of the chain's coin, beyond which nothing is sent.
    """

    urls: Annotated[tuple[str, ...], Field(min_length=1, max_length=8, repr=False)]
    chain: Annotated[int, Field(ge=1, lt=2**53)]
    records: Address | None = None
    dids: Address | None = None
    key_file: Path | None = None
    confirmations: Confirmations = 12
    range_blocks: Annotated[int, Field(ge=1, le=100_000)] = 2000
    deadline_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0
    behind_seconds: Annotated[float, Field(gt=0)] | None = None
    most_fee_gwei: Annotated[float, Field(gt=0, le=1e6)] = 100.0

    @field_validator("urls")
    @classmethod
    def _reachable(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            parts = urlsplit(url)
            is_here = parts.hostname in ("127.0.0.1", "::1", "localhost")
            if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and is_here)):
                raise ValueError("a node is reached by https://, or by http:// on this machine")
        if len(set(urls)) != len(urls):
            raise ValueError("a node that is named twice proves nothing")
        return urls

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """Return the settings of environment variables ``ZTFM_EVM_*``.

        Raises:
            EvmInvalid: one is missing, unknown, or not such a value. Values are not repeated: a URL may hold a secret.
        """
        given: dict[str, Any] = {}
        for name, text in environment.items():
            if name.startswith(PREFIX) and text:
                given[name.removeprefix(PREFIX).lower()] = _value(name, text)
        if "url" in given:
            given["urls"] = tuple(one.strip() for one in str(given.pop("url")).split(","))
        try:
            return cls(**given)
        except ValidationError as error:
            wrong = error.errors(include_input=False, include_url=False)[0]
            name = str(wrong["loc"][0]) if wrong["loc"] else ""
            shown = PREFIX + ("url" if name == "urls" else name).upper()
            raise EvmInvalid(f"{shown}: {wrong['msg']}; docs/ledger-evm.md lists the settings") from None


def _value(name: str, text: str) -> object:
    if name == PREFIX + "KEY_FILE":
        return Path(text)
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text or name.endswith(("_SECONDS", "_GWEI")) else int(text)
    return text


def open_ledger(
    environment: Mapping[str, str],
    clock: Callable[[], float],
    *,
    federation: str,
    founders: Mapping[str, PublicKey],
) -> Ledger:
    """Return the EVM ledger that the environment describes. Nobody is asked anything yet.

    Args:
        environment: variables ``ZTFM_EVM_*``.
        clock: Unix seconds.
        federation: whose records are written and read.
        founders: organisations that everybody pins beforehand, by their DIDs.

    Raises:
        EvmInvalid: a setting is missing or wrong, the key file cannot be used, or web3 is not installed.
    """
    settings = EvmSettings.read(environment)
    if settings.records is None:
        raise EvmInvalid(
            "ZTFM_EVM_RECORDS: name the contract that has the records; `ztfm identity ledger deploy` makes one"
        )
    try:
        from controlplane.identity.ledgers.evm.opening import opened
    except ImportError as error:
        raise EvmInvalid(f"the EVM ledger needs {error.name}: {INSTALL}") from None
    _warn_of_lateness(settings, environment.get(LATE, ""))
    return opened(settings, settings.records, clock, federation, founders)


def _warn_of_lateness(settings: EvmSettings, stated: str) -> None:
    """Say in the log that every record will be late for a while, where that is known of the chain."""
    takes = _FINALITY_SECONDS
    if settings.confirmations != "finalized":
        takes = _BLOCK_SECONDS * settings.confirmations if settings.chain in _ETHEREUM else 0.0
    late = float(stated) if _NUMBER.fullmatch(stated) else 120.0
    if late < takes:
        _log.warning(
            "late_before_final",
            late_seconds=late,
            final_after_seconds=takes,
            remedy=f"each record is a finding before it can be final; set {LATE} to {2 * takes:.0f}",
        )
