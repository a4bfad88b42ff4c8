"""Trees and proofs: published vectors of RFC 6962's tree, and every proof of every small tree, whole and tampered."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.transparency.merkle import (
    EMPTY_ROOT,
    Peaks,
    ProofFailed,
    Subtree,
    consistency_pieces,
    folded,
    hashes_of,
    inclusion_pieces,
    joined,
    leaf_hash,
    node_hash,
    pieces,
    root_pieces,
    verify_consistency,
    verify_inclusion,
)

ENTRIES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
"""The reference entries of Certificate Transparency's own tests, and the roots of the trees over the first of them."""

ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


class Tree:
    """A tree that is kept whole, and computed as RFC 6962 defines it, without what is tested."""

    def __init__(self, entries: list[bytes]) -> None:
        self.leaves = [hashlib.sha256(b"\x00" + entry).digest() for entry in entries]

    def root(self, start: int, end: int) -> bytes:
        if end == start:
            return hashlib.sha256(b"").digest()
        if end - start == 1:
            return self.leaves[start]
        half = 1
        while half * 2 < end - start:
            half *= 2
        both = self.root(start, start + half) + self.root(start + half, end)
        return hashlib.sha256(b"\x01" + both).digest()

    def subtree(self, one: Subtree) -> bytes:
        return self.root(one.start, one.end)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        return hashes_of(inclusion_pieces(index, size), self.subtree)

    def consistency(self, earlier: int, later: int) -> list[bytes]:
        return hashes_of(consistency_pieces(earlier, later), self.subtree)


TREE = Tree([bytes([number]) for number in range(40)])


@pytest.mark.parametrize("size", range(1, 9))
def test_the_published_roots_are_found(size: int) -> None:
    leaves = [leaf_hash(bytes.fromhex(entry)) for entry in ENTRIES[:size]]
    found = joined([folded(leaves[part.start : part.end]) for part in root_pieces(size)])
    assert found.hex() == ROOTS[size - 1]


def test_the_published_inclusion_proof_of_the_first_of_eight_verifies() -> None:
    proof = [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]
    leaf = leaf_hash(bytes.fromhex(ENTRIES[0]))
    verify_inclusion(leaf, 0, 8, [bytes.fromhex(one) for one in proof], bytes.fromhex(ROOTS[7]))


def test_the_published_consistency_proof_from_six_to_eight_verifies() -> None:
    proof = [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]
    parts = [bytes.fromhex(one) for one in proof]
    verify_consistency(6, 8, parts, bytes.fromhex(ROOTS[5]), bytes.fromhex(ROOTS[7]))


@pytest.mark.parametrize("size", range(41))
def test_every_root_is_that_of_the_definition(size: int) -> None:
    assert joined([TREE.subtree(one) for one in root_pieces(size)]) == TREE.root(0, size)


@pytest.mark.parametrize("size", range(1, 41))
def test_every_entry_is_proven_and_nothing_else_is(size: int) -> None:
    root = TREE.root(0, size)
    for index in range(size):
        proof = TREE.inclusion(index, size)
        verify_inclusion(TREE.leaves[index], index, size, proof, root)
        for wrong_leaf, wrong_index, wrong_proof in (
            (leaf_hash(b"another"), index, proof),
            (TREE.leaves[index], index, [*proof, root]),
            (TREE.leaves[index], size, proof),
            (TREE.leaves[index], -1, proof),
            *([(TREE.leaves[index], index, proof[:-1]), (TREE.leaves[index], index ^ 1, proof)] if proof else []),
        ):
            with pytest.raises(ProofFailed):
                verify_inclusion(wrong_leaf, wrong_index, size, wrong_proof, root)


@pytest.mark.parametrize("later", range(1, 41))
def test_every_growth_is_proven(later: int) -> None:
    for earlier in range(later + 1):
        proof = TREE.consistency(earlier, later)
        verify_consistency(earlier, later, proof, TREE.root(0, earlier), TREE.root(0, later))


@given(st.integers(1, 40), st.integers(0, 39), st.integers(0, 39))
def test_a_rewritten_history_is_never_proven(later: int, changed: int, upto: int) -> None:
    earlier = min(upto + 1, later)
    changed %= earlier
    other = Tree([bytes([number]) if number != changed else b"rewritten" for number in range(40)])
    with pytest.raises(ProofFailed):
        verify_consistency(
            earlier, later, other.consistency(earlier, later), TREE.root(0, earlier), other.root(0, later)
        )


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_no_bit_of_a_growth_s_proof_may_differ(one: int, two: int, data: st.DataObject) -> None:
    earlier, later = sorted((one, two))
    proof = TREE.consistency(earlier, later)
    if not proof:
        return
    number = data.draw(st.integers(0, len(proof) - 1))
    bit = data.draw(st.integers(0, 255))
    flipped = int.from_bytes(proof[number]) ^ (1 << bit)
    wrong = [*proof[:number], flipped.to_bytes(32), *proof[number + 1 :]]
    with pytest.raises(ProofFailed):
        verify_consistency(earlier, later, wrong, TREE.root(0, earlier), TREE.root(0, later))


def test_a_log_that_shrank_is_named_as_such() -> None:
    with pytest.raises(ProofFailed, match="entries are gone"):
        verify_consistency(9, 8, [], TREE.root(0, 9), TREE.root(0, 8))


def test_two_trees_of_a_size_that_differ_are_named_as_such() -> None:
    other = Tree([b"x"] * 8)
    with pytest.raises(ProofFailed, match="two trees of 8 entries differ"):
        verify_consistency(8, 8, [], TREE.root(0, 8), other.root(0, 8))


def test_hashes_of_another_length_are_refused() -> None:
    proof = TREE.inclusion(3, 8)
    for wrong in ([*proof[:-1], proof[-1] + b"x"], [b"", *proof[1:]]):
        with pytest.raises(ProofFailed, match="something else"):
            verify_inclusion(TREE.leaves[3], 3, 8, wrong, TREE.root(0, 8))


def test_an_entry_cannot_pass_for_a_node() -> None:
    left, right = TREE.leaves[:2]
    assert leaf_hash(left + right) != node_hash(left, right)


def test_nothing_is_proven_of_an_empty_tree() -> None:
    assert joined([]) == EMPTY_ROOT
    with pytest.raises(ValueError, match="no entry"):
        inclusion_pieces(0, 0)


@given(st.integers(0, 2**40), st.integers(1, 2**40))
def test_a_proof_grows_with_the_logarithm(index: int, size: int) -> None:
    index %= size
    assert len(inclusion_pieces(index, size)) <= size.bit_length()
    assert sum(one.end - one.start for one in pieces(0, size)) == size


def test_a_tree_that_grows_by_its_peaks_has_the_same_roots() -> None:
    peaks = Peaks()
    for size in range(41):
        assert (peaks.size, peaks.root) == (size, TREE.root(0, size))
        branched = peaks.copy()
        branched.extend([leaf_hash(b"other")] * 3)
        if size < 40:
            peaks.extend([TREE.leaves[size]])
    assert Peaks(TREE.leaves).root == TREE.root(0, 40)
