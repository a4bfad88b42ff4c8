"""Merkle trees over a list of entries (RFC 6962, section 2.1), and proofs as RFC 9162 verifies them (2.1.3, 2.1.4).

Nothing here reads or writes: what a proof needs is named as `Subtree`, and whoever keeps the tree looks these up.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of a tree without entries."""

MOST_LEVELS = 63
"""A tree holds fewer than ``2 ** 63`` entries; a proof has no more hashes than twice as many."""


class ProofFailed(Exception):  # noqa: N818 - named for what happened
    """A proof does not show what it was presented for. The message says what differs."""


class Subtree(NamedTuple):
    """A complete subtree.

    Attributes:
        level: it spans ``2 ** level`` entries.
        place: how many of its size come before it.
    """

    level: int
    place: int

    @property
    def start(self) -> int:
        """The first entry that it spans, counted from 0."""
        return self.place << self.level

    @property
    def end(self) -> int:
        """The entry after its last one."""
        return (self.place + 1) << self.level


Piece = tuple[Subtree, ...]
"""A part of a tree, as complete subtrees from left to right; it becomes one hash by `joined`."""


class Peaks:
    """A tree by its complete subtrees alone: it can grow and tell its root, in memory that is logarithmic in its size.

    Args:
        leaves: hashes of the entries that it has.
    """

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self.size = 0
        self._peaks: list[bytes] = []
        self.extend(leaves)

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add entries."""
        for leaf in leaves:
            found = leaf
            # Each one bit at the end of the size is a subtree that is as large as the one that is complete now.
            for _ in range((~self.size & (self.size + 1)).bit_length() - 1):
                found = node_hash(self._peaks.pop(), found)
            self._peaks.append(found)
            self.size += 1

    def copy(self) -> "Peaks":
        """Return another that grows by itself."""
        other = Peaks()
        other.size, other._peaks = self.size, list(self._peaks)
        return other

    @property
    def root(self) -> bytes:
        """The tree's root."""
        return joined(self._peaks)


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of an entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of two nodes side by side."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def joined(hashes: Sequence[bytes]) -> bytes:
    """Return the one hash of complete subtrees, from left to right, each larger than the next."""
    if not hashes:
        return EMPTY_ROOT
    found = hashes[-1]
    for left in reversed(hashes[:-1]):
        found = node_hash(left, found)
    return found


def folded(hashes: Sequence[bytes]) -> bytes:
    """Return the root of a complete tree over hashes, whose number is a power of two.

    Raises:
        ValueError: it is not.
    """
    if not hashes or len(hashes) & (len(hashes) - 1):
        raise ValueError(f"{len(hashes)} hashes make no complete tree; their number must be a power of two")
    level = list(hashes)
    while len(level) > 1:
        level = [node_hash(left, right) for left, right in zip(level[::2], level[1::2], strict=True)]
    return level[0]


def pieces(start: int, end: int) -> Piece:
    """Return the entries from ``start`` to before ``end`` as complete subtrees, from left to right.

    ``start`` must lie where a subtree of the span's size may begin, as in each part of a proof.
    """
    found = []
    while start < end:
        level = (end - start).bit_length() - 1
        found.append(Subtree(level, start >> level))
        start += 1 << level
    return tuple(found)


def root_pieces(size: int) -> Piece:
    """Return the complete subtrees of a tree of ``size`` entries."""
    return pieces(0, size)


def inclusion_pieces(index: int, size: int) -> list[Piece]:
    """Return whose hashes prove that entry ``index`` is in a tree of ``size`` entries, from the leaf upwards.

    Raises:
        ValueError: the tree has no such entry.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} entries has no entry {index}")
    start, end = 0, size
    found: list[Piece] = []
    while end - start > 1:
        middle = start + _left_size(end - start)
        if index < middle:
            found.append(pieces(middle, end))
            end = middle
        else:
            found.append(pieces(start, middle))
            start = middle
    return found[::-1]


def consistency_pieces(earlier: int, later: int) -> list[Piece]:
    """Return whose hashes prove that the tree of ``earlier`` entries begins the one of ``later``, upwards.

    Raises:
        ValueError: ``earlier`` is greater, or one of them negative.
    """
    if not 0 <= earlier <= later:
        raise ValueError(f"a tree of {later} entries does not begin with one of {earlier}")
    if earlier in (0, later):
        return []
    start, end, is_whole = 0, later, True
    found: list[Piece] = []
    while earlier != end:
        middle = start + _left_size(end - start)
        if earlier <= middle:
            found.append(pieces(middle, end))
            end = middle
        else:
            found.append(pieces(start, middle))
            start, is_whole = middle, False
    # Whoever verifies has the earlier root; where that is a node of the later tree it need not be sent.
    return ([] if is_whole else [pieces(start, end)]) + found[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Return if the entry with this leaf hash is number ``index`` of the tree with this root (RFC 9162, 2.1.3.2).

    Args:
        leaf: hash of the entry.
        index: where it is, counted from 0.
        size: entries of the tree.
        proof: hashes from the leaf upwards.
        root: of the tree.

    Raises:
        ProofFailed: it is not shown to be.
    """
    if not 0 <= index < size:
        raise ProofFailed(f"a tree of {size} entries has no entry {index}")
    _require_hashes([leaf, root, *proof])
    node, last, found = index, size - 1, leaf
    for part in proof:
        if last == 0:
            raise ProofFailed("the proof is longer than the tree is high")
        if node & 1 or node == last:
            found = node_hash(part, found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, part)
        node, last = node >> 1, last >> 1
    if last:
        raise ProofFailed("the proof is shorter than the tree is high")
    if found != root:
        raise ProofFailed(f"entry {index} is not what the tree of {size} entries holds there")


def verify_consistency(
    earlier: int, later: int, proof: Sequence[bytes], earlier_root: bytes, later_root: bytes
) -> None:
    """Return if the tree of ``later`` entries only adds to the one of ``earlier`` (RFC 9162, 2.1.4.2).

    Raises:
        ProofFailed: it is not shown to.
    """
    if not 0 <= earlier <= later:
        raise ProofFailed(f"a tree of {later} entries does not begin with one of {earlier}: entries are gone")
    _require_hashes([earlier_root, later_root, *proof])
    if earlier in (0, later):
        same = EMPTY_ROOT if earlier == 0 else later_root
        if proof or earlier_root != same:
            raise ProofFailed(f"two trees of {earlier} entries differ")
        return
    node, last = earlier - 1, later - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    parts = list(proof)
    if not parts:
        raise ProofFailed("the proof is empty")
    first = parts.pop(0) if node else earlier_root
    _climb(node, last, first, parts, earlier_root, later_root)


def _climb(node: int, last: int, first: bytes, parts: Sequence[bytes], earlier_root: bytes, later_root: bytes) -> None:
    one = other = first
    for part in parts:
        if last == 0:
            raise ProofFailed("the proof is longer than the tree is high")
        if node & 1 or node == last:
            one, other = node_hash(part, one), node_hash(part, other)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            other = node_hash(other, part)
        node, last = node >> 1, last >> 1
    if last:
        raise ProofFailed("the proof is shorter than the tree is high")
    if one != earlier_root:
        raise ProofFailed("the later tree does not begin with the earlier one: its history was rewritten")
    if other != later_root:
        raise ProofFailed("the proof does not lead to the later tree")


def hashes_of(parts: Sequence[Piece], look_up: Mapping[Subtree, bytes] | Callable[[Subtree], bytes]) -> list[bytes]:
    """Return the hash of each part of a proof.

    Args:
        parts: of `inclusion_pieces` or `consistency_pieces`.
        look_up: the hash of each complete subtree.
    """
    find = look_up if callable(look_up) else look_up.__getitem__
    return [joined([find(subtree) for subtree in part]) for part in parts]


def _left_size(size: int) -> int:
    return 1 << ((size - 1).bit_length() - 1)


def _require_hashes(hashes: Sequence[bytes]) -> None:
    if len(hashes) > 2 * MOST_LEVELS or any(len(one) != HASH_BYTES for one in hashes):
        raise ProofFailed("the proof holds something else than SHA-256 hashes, or too many")
