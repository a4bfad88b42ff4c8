"""Import the chain's libraries without what one of them does to the process; imported before any of them.

py_ecc lifts the interpreter's recursion limit to 100,000, beyond what the stack holds: then JSON that is nested so
deeply ends the process instead of raising an error.
"""

import sys

_limit = sys.getrecursionlimit()
try:
    import eth_account  # noqa: F401 - brought in here, so that what it does can be undone
    import web3  # noqa: F401
finally:
    sys.setrecursionlimit(_limit)
