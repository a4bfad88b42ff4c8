"""The one door to SQLite or PostgreSQL."""

from controlplane.storage.errors import StoreUnavailable
from controlplane.storage.store import Store, open_store

__all__ = ["Store", "StoreUnavailable", "open_store"]
