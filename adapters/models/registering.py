"""Register what was signed, as an administrator who was enrolled in a folder; ``ztfm models register --as`` does it."""

from pathlib import Path

from adapters.client import SyncControlPlane
from adapters.enrolment import load_identity, load_key
from adapters.errors import ControlPlaneError
from controlplane.capabilities.errors import KeyFileError
from controlplane.contracts.models import VersionDetail

REFUSALS: tuple[type[Exception], ...] = (ControlPlaneError, KeyFileError, OSError)
"""What `register` may raise."""


def register(folder: Path, model: str, bundle: str, tensors: str | None) -> VersionDetail:
    """Tell the control plane of a version, which verifies the signature again and asks policy.

    Args:
        folder: of the administrator's key and identity.
        model: the model's identifier.
        bundle: the text of ``model.sig``.
        tensors: the text of ``ztfm-tensors.json``, where the model has it.

    Raises:
        FileNotFoundError: nobody was enrolled there.
        KeyFileError: the key or the identity cannot be used.
        ControlPlaneError: it is not registered; `Forbidden` says what is missing.
    """
    with SyncControlPlane(load_identity(folder).url, load_key(folder)) as plane:
        return plane.register_version(model, bundle, tensors)
