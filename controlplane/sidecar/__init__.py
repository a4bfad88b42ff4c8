"""The OPA sidecar: find or build its binary, bundle the policies, run it as a child process."""

from controlplane.sidecar.bundle import build_bundle
from controlplane.sidecar.errors import BundleError, SidecarError
from controlplane.sidecar.locate import OpaBinary, OpaNotFound, locate_opa
from controlplane.sidecar.process import Sidecar, SidecarOptions

__all__ = [
    "BundleError",
    "OpaBinary",
    "OpaNotFound",
    "Sidecar",
    "SidecarError",
    "SidecarOptions",
    "build_bundle",
    "locate_opa",
]
