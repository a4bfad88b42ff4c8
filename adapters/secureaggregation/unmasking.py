"""Take the masks off a sum, with the shares that clients revealed; and see whose shares were wrong."""

from collections.abc import Collection, Mapping, Sequence

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from adapters.secureaggregation.errors import Aborted
from adapters.secureaggregation.masks import Words, add, agree, derive
from adapters.secureaggregation.messages import Revealed, Share, Sharing
from adapters.secureaggregation.rostering import Known
from adapters.secureaggregation.sealing import SEED_PURPOSE, is_marked, pair_purpose, raw
from adapters.secureaggregation.shamir import PRIME, combine


class Unmasking:
    """Collects shares, and takes masks off.

    Args:
        known: the roster.
        sharings: what was shared, by owner.
        survivors: who is in the sum.
        complaints: whose shares a holder could not use, by holder.
    """

    def __init__(
        self,
        known: Known,
        sharings: Mapping[int, Sharing],
        survivors: Sequence[int],
        complaints: Mapping[int, Collection[int]],
    ) -> None:
        self.holders: set[int] = set()
        self._known = known
        self._sharings = sharings
        self._survivors = frozenset(survivors)
        self._complaints = complaints
        self._points = {
            owner: {one.place: point for point, one in enumerate(sharing.shares, start=1)}
            for owner, sharing in sharings.items()
        }
        self._shares: dict[int, dict[int, bytes]] = {owner: {} for owner in sharings}

    def take(self, holder: int, message: Revealed) -> bool:
        """Take in what a holder revealed; whether all of it was as it should be. What was not is left out."""
        self.holders.add(holder)
        dropped = self._sharings.keys() - self._survivors
        seeds = [self._keep(holder, one, self._survivors, "seed") for one in message.seeds]
        keys = [self._keep(holder, one, dropped, "key") for one in message.keys]
        return all(seeds) and all(keys)

    def strip(self, total: Words) -> None:
        """Take all masks off ``total``, in place.

        Raises:
            Aborted: a secret cannot be put together.
        """
        secrets = {owner: self._secret(owner) for owner in sorted(self._shares)}
        for owner, secret in secrets.items():
            if owner in self._survivors:
                add(total, derive(secret, self._known.digest, SEED_PURPOSE), -1)
            else:
                self._strip_pairs(total, owner, secret)

    def _strip_pairs(self, total: Words, gone: int, secret: bytes) -> None:
        """Take off what the others masked against one who is not in the sum."""
        private = X25519PrivateKey.from_private_bytes(secret)
        for place in sorted(self._survivors):
            if place in self._points[gone] or gone in self._points[place]:
                key = agree(private, self._known.mask_keys[place], self._known.digest, pair_purpose(gone, place))
                add(total, key, -1 if place < gone else 1)

    def _keep(self, holder: int, one: Share, owners: Collection[int], which: str) -> bool:
        point = self._points.get(one.owner, {}).get(holder)
        if point is None or one.owner not in owners or point in self._shares[one.owner]:
            return False
        sealed = self._sharings[one.owner].shares[point - 1]
        value = raw(one.share)
        if not is_marked(value, sealed.seed_mark if which == "seed" else sealed.key_mark):
            return False
        if int.from_bytes(value, "big") >= PRIME:
            return False
        self._shares[one.owner][point] = value
        return True

    def _secret(self, owner: int) -> bytes:
        threshold, name = self._known.parameters.threshold, self._known.names[owner]
        if len(self._shares[owner]) < threshold:
            unusable = sum(owner in found for found in self._complaints.values())
            raise Aborted(
                "bad_shares" if unusable else "too_few",
                f"{len(self._shares[owner])} shares of {name} came, and {threshold} are needed"
                + (f"; {unusable} clients could not use theirs" if unusable else ""),
                # Those who may collude could say so of anybody.
                [name] if unusable > self._known.parameters.colluding else [],
            )
        secret = combine(self._shares[owner], threshold)
        if secret is None or not self._is_right(owner, secret):
            # Each share is what its owner marked it as, so the owner shared something else than its secret.
            raise Aborted("bad_shares", f"what {name} shared is not its secret", [name])
        return secret

    def _is_right(self, owner: int, secret: bytes) -> bool:
        if owner in self._survivors:
            return is_marked(secret, self._sharings[owner].seed_mark)
        public = X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
        return public == self._known.mask_keys[owner]
