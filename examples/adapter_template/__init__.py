"""A whole adapter, for a toy backend: read `backend`, then `adapter`, then `conformance`; docs/adapters.md explains."""
