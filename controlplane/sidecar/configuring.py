"""What OPA starts from: its configuration, and which layers are to decide beside the base."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from controlplane.contracts.policies import PolicyLayer
from controlplane.sidecar.files import write_private

BUNDLES: Mapping[PolicyLayer, str] = {"base": "ztfm", "tenant": "tenant", "site": "site"}
"""The name under which OPA knows the bundle of a layer: that of what it owns in OPA's data."""

CONFIG = "opa-config.json"
EXPECTED = "layers.json"
KEPT = "kept"

HOLD_SECONDS = 30
"""How long OPA asks the publisher to hold its request while there is nothing new."""

RETRY_SECONDS = 1
"""How long OPA waits at most after a bundle that it could not have, and between two looks where nobody holds it."""


def resource(layer: PolicyLayer) -> str:
    """Return the path at which a layer's bundle is served, without the slash before it."""
    return f"{BUNDLES[layer]}.tar.gz"


def write_config(
    folder: Path,
    publisher_url: str,
    publisher_token: str,
    *,
    layers: Sequence[PolicyLayer] = ("base",),
    keys: Mapping[str, str] | None = None,
    hold: bool = True,
) -> None:
    """Write OPA's configuration and the expected layers into ``folder``: a bundle a layer, and no decision log.

    Args:
        folder: private; OPA's copies of the last good bundles go into it too.
        publisher_url: where the bundles are served.
        publisher_token: bearer token of that service.
        layers: those that decide, the base first.
        keys: public keys by id, as PEM; OPA takes a bundle only when one of them signed it for its layer. None takes
            bundles without a signature, for an OPA of one's own.
        hold: the publisher holds a request until there is something new; OPA finds out should it not.
    """
    polling = {"min_delay_seconds": RETRY_SECONDS, "max_delay_seconds": RETRY_SECONDS}
    if hold:
        polling["long_polling_timeout_seconds"] = HOLD_SECONDS
    bundles: dict[str, Any] = {
        BUNDLES[layer]: {"service": "publisher", "resource": resource(layer), "persist": True, "polling": polling}
        for layer in layers
    }
    config: dict[str, Any] = {
        "services": {"publisher": {"url": publisher_url, "credentials": {"bearer": {"token": publisher_token}}}},
        "bundles": bundles,
        "persistence_directory": str(folder / KEPT),
        "labels": {"app": "ztfm"},
    }
    if keys is not None:
        config["keys"] = {name: {"algorithm": "ES256", "key": pem} for name, pem in keys.items()}
        for layer in layers:
            bundles[BUNDLES[layer]]["signing"] = {"scope": layer}
    write_private(folder / CONFIG, json.dumps(config))
    expected = [layer for layer in layers if layer != "base"]
    write_private(folder / EXPECTED, json.dumps({"layers": {"expected": expected}}))
