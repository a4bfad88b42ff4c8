"""What must be set before torch, Flower and Ray are imported: nothing phones home, nothing chatters.

``OMP_WAIT_POLICY``: torch's threads wait for one another asleep. Spinning, they take the processor from the
control plane and the simulation, which is ten times slower where other work competes.
``RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER``: despite its name, off it makes the engine listen on loopback alone.
"""

import logging
import os
import warnings

SETTINGS = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_WAIT_POLICY": "PASSIVE",
}
NOISY = ("flwr", "ray", "alembic", "transformers", "matplotlib", "httpx", "asyncio")


def quieten(*, is_offline: bool = True) -> None:
    """Set the environment of this process and of those that it will start, and the levels of other people's logs.

    Args:
        is_offline: no model hub is asked; otherwise it is as the user has set it.
    """
    offline = os.environ.get("HF_HUB_OFFLINE")
    os.environ.update(SETTINGS)
    if not is_offline:
        os.environ["HF_HUB_OFFLINE"] = offline or "0"
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(ray|flwr|transformers)(\..*)?$")
