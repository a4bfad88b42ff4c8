"""``did:key`` for the resolver: nobody is asked, for the identifier is the key."""

from controlplane.identifiers.didkey import key_document
from controlplane.identifiers.dids import DidInvalid
from controlplane.identity.resolving.interface import Found, NotResolved


class KeyMethod:
    """Works the document out."""

    name = "key"

    def is_computed(self, did: str) -> bool:
        """It always is."""
        return True

    def check(self, did: str) -> None:
        """Return; what is wrong with it turns out when it is resolved."""

    async def resolve(self, did: str) -> Found:
        """Return the document of the key.

        Raises:
            NotResolved: it is none.
        """
        try:
            return Found(key_document(did))
        except DidInvalid as error:
            raise NotResolved("invalidDid", str(error)) from None

    async def close(self) -> None:
        """Nothing is held."""
