"""Puts the EVM ledger together from its settings."""

from collections.abc import Callable, Mapping

from controlplane.contracts.identity import PublicKey
from controlplane.identity.ledgers.evm.accounts import load_account
from controlplane.identity.ledgers.evm.counting import Counting
from controlplane.identity.ledgers.evm.ledger import EvmLedger, Terms
from controlplane.identity.ledgers.evm.nodes import Node, over_http, shown_name
from controlplane.identity.ledgers.evm.sending import Sender
from controlplane.identity.ledgers.evm.settings import EvmSettings


def nodes_of(settings: EvmSettings) -> list[Node]:
    """Return the nodes that are named."""
    return [Node(shown_name(url), over_http(url, settings.deadline_seconds)) for url in settings.urls]


def sender_of(settings: EvmSettings) -> Sender | None:
    """Return what sends for the account that is named, or none.

    Raises:
        EvmInvalid: the key file cannot be used.
    """
    if settings.key_file is None:
        return None
    return Sender(load_account(settings.key_file), settings.chain, settings.most_fee_gwei)


def opened(
    settings: EvmSettings,
    contract: str,
    clock: Callable[[], float],
    federation: str,
    founders: Mapping[str, PublicKey],
) -> EvmLedger:
    """Return the ledger.

    Raises:
        EvmInvalid: the key file cannot be used.
    """
    terms = Terms(
        chain=settings.chain,
        contract=contract,
        confirmations=settings.confirmations,
        range_blocks=settings.range_blocks,
        deadline_seconds=settings.deadline_seconds,
        behind_seconds=settings.behind_seconds,
    )
    return EvmLedger(terms, nodes_of(settings), sender_of(settings), Counting(federation, founders), clock)
