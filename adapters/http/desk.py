"""What the routes and the job have between them, over HTTP. Belongs to one event loop."""

from typing import Any

from adapters.http.signing import SignatureVerifier
from adapters.jobs.desk import Desk
from controlplane.contracts.identity import PublicKey


class HttpDesk(Desk):
    """Where requests over HTTP and the job meet.

    Args:
        signatures: verifies signatures of requests.
        given: of `Desk`.

    Attributes:
        public_url: how callers reach this server; set once it listens.
        keys: public keys of devices that have proven their names, by thumbprint.
    """

    def __init__(self, signatures: SignatureVerifier, *given: Any) -> None:
        super().__init__(*given)
        self.signatures = signatures
        self.public_url = ""
        self.keys: dict[str, PublicKey] = {}

    def forget(self) -> None:
        """Keep the keys of those alone who are invited, or in the round that is open."""
        invited = self.invited
        self.keys = {mark: key for mark, key in self.keys.items() if self.guard.names.of(mark) in invited}
