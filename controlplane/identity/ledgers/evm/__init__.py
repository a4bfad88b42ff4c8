"""A chain that runs the Ethereum virtual machine as a ledger, over JSON-RPC.

``pip install 'ztfm[evm]'`` brings what it needs.
"""

from controlplane.identity.ledgers.evm.settings import EvmSettings, open_ledger

__all__ = ["EvmSettings", "open_ledger"]
