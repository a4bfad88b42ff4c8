"""What the data of the released policies say, for commands that tell sooner what policy would refuse."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from controlplane.bundles.archive import read_archive
from controlplane.bundles.errors import BundleRefused
from controlplane.bundles.layout import DATA
from controlplane.settings import Settings
from controlplane.sidecar.folders import product_folder
from controlplane.storage import Store


async def released_data(settings: Settings, store: Store, folder: Path | None = None) -> Mapping[str, Any]:
    """Return the data of the policies that are released, or of the folder where none are, by name.

    Empty where they cannot be read. The signature is not looked at: policy has the last word.

    Args:
        settings: which folder it is.
        store: what is released.
        folder: of policies, whose data count instead.

    Raises:
        StoreError: the store cannot be read.
    """
    released = (await store.releases.heads()).get("base") if folder is None else None
    body = await store.releases.body(released.digest) if released else None
    try:
        if body is not None:
            data = json.loads(read_archive(body)[DATA])["data"]
        else:
            places = ((folder or settings.policies or product_folder("policies")) / "data").glob("*/data.json")
            data = {place.parent.name: json.loads(place.read_bytes()) for place in places}
    except (BundleRefused, OSError, ValueError, KeyError, TypeError):
        return {}
    return data if isinstance(data, dict) else {}
