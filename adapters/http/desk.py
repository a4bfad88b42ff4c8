"""What the routes and the job have between them, over HTTP. Belongs to one event loop."""

from typing import Any

from adapters.http.signing import SignatureVerifier
from adapters.jobs.desk import Desk
from controlplane.confidentiality.hpke import PrivateReleaseKey
from controlplane.contracts.identity import PublicKey


class HttpDesk(Desk):
    """Where requests over HTTP and the job meet.

    Args:
        signatures: verifies signatures of requests.
        given: of `Desk`.

    Attributes:
        public_url: how callers reach this server; set once it listens.
        keys: public keys of devices that have proven their names, by thumbprint.
        update_key: to whose public half updates may be sealed; none where they come in the clear alone.
    """

    def __init__(self, signatures: SignatureVerifier, *given: Any) -> None:
        super().__init__(*given)
        self.signatures = signatures
        self.public_url = ""
        self.keys: dict[str, PublicKey] = {}
        self.update_key: PrivateReleaseKey | None = None

    def post(self, state: str, **more: Any) -> None:
        """Announce how the job stands, with the key that updates may be sealed to."""
        key = {} if self.update_key is None else {"update_key": self.update_key.public.model_dump()}
        super().post(state, **key, **more)

    def forget(self) -> None:
        """Keep the keys of those alone who are invited, or in the round that is open."""
        invited = self.invited
        self.keys = {mark: key for mark, key in self.keys.items() if self.guard.names.of(mark) in invited}
