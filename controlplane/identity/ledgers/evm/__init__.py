"""A chain that runs the Ethereum virtual machine as a ledger, over JSON-RPC.

``pip install 'ztfm[evm]'`` brings what it needs.
"""

import sys

_limit = sys.getrecursionlimit()
try:
    # Among what they bring, py_ecc lifts the limit of the whole process to 100,000, beyond what the stack holds.
    import eth_account  # noqa: F401 - brought in here, for its side effect is undone
    import web3  # noqa: F401
except ImportError:
    # Whoever opens a ledger is told what to install.
    pass
finally:
    sys.setrecursionlimit(_limit)

from controlplane.identity.ledgers.evm.settings import EvmSettings, open_ledger  # noqa: E402 - after the limit is back

__all__ = ["EvmSettings", "open_ledger"]
