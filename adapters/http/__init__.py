"""Federated learning over plain HTTP, for clients in any language: the protocol is in docs/adapters-http.md.

`adapters.http.opening.federation` opens a job, ``python -m adapters.http`` runs one, and `adapters.http.client` takes
part in it without torch.
"""

from adapters.jobs.bounds import Bounds

__all__ = ["Bounds"]
