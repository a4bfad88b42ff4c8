"""Resolving DIDs: one resolver, a method each; bounded, remembered for a while, and asked about once at a time."""

from controlplane.identity.resolving.interface import DidMethod, Found, NotResolved
from controlplane.identity.resolving.resolver import Resolver, ResolverLimits

__all__ = ["DidMethod", "Found", "NotResolved", "Resolver", "ResolverLimits"]
