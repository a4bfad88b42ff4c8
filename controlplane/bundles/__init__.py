"""Policies as signed bundles: pack, sign, verify. Needs neither OPA nor a control plane."""

from controlplane.bundles.archive import read_archive, write_archive
from controlplane.bundles.errors import BundleRefused, PolicyKeyError
from controlplane.bundles.keys import Trust
from controlplane.bundles.signing import BundleSigner
from controlplane.bundles.verification import VerifiedBundle, verify

__all__ = [
    "BundleRefused",
    "BundleSigner",
    "PolicyKeyError",
    "Trust",
    "VerifiedBundle",
    "read_archive",
    "verify",
    "write_archive",
]
