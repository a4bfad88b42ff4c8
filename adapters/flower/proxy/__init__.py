"""A reverse proxy before the Fleet API of Flower's SuperLink: no weights pass without a capability for them.

`python -m adapters.flower.proxy` runs it; `python -m adapters.flower.proxy.sidecar` runs beside each SuperNode and
proves its requests with the key of the device.
"""

from adapters.flower.proxy.limits import Limits
from adapters.flower.proxy.opening import OpenProxy, beside, opened

__all__ = ["Limits", "OpenProxy", "beside", "opened"]
