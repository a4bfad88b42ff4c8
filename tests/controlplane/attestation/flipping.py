"""What evidence must bear: no changed bit verifies, and no bytes whatever do anything but verify or be refused."""

import os
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.attestation.interface import EvidenceRefused

ALL_BITS = "ZTFM_EVERY_BIT"
"""Set in the environment, it makes samples of bits into all bits: minutes instead of seconds."""

CAUSES = frozenset({"malformed", "untrusted", "expired", "revoked", "signature", "unbound", "unsupported"})

_NOTHING = object()

Verify = Callable[[Mapping[str, bytes]], object]
"""A verifier at a time: it returns claims, or raises `EvidenceRefused`."""


@dataclass(frozen=True, slots=True)
class Survivor:
    """A flipped bit that was not refused as it must be."""

    member: str
    offset: int
    bit: int
    became: str

    def __str__(self) -> str:
        return f"{self.member}[{self.offset}] bit {self.bit}: {self.became}"


def every_flip_is_refused(
    verify: Verify,
    evidence: Mapping[str, bytes],
    members: Iterable[str] | None = None,
    sample: int | None = None,
    seed: int = 0,
    edge: int = 2,
) -> int:
    """Flip single bits, one at a time, and assert that the evidence is refused each time, with a cause of the known.

    Args:
        verify: of evidence that it accepts as it is, which is asserted first.
        evidence: its members.
        members: whose bits are flipped; all by default.
        sample: as many bits of each member, drawn with the seed, besides all bits of its edges; all bits by default.
        seed: of the sample.
        edge: as many first and last bytes of each member are flipped bit by bit in any case.

    Returns:
        How many flips were tried.

    Raises:
        AssertionError: naming the survivors, by member, offset and bit.
    """
    verify(evidence)
    tried, survivors = 0, []
    for member in sorted(evidence if members is None else members):
        original = evidence[member]
        for position in _positions(len(original) * 8, sample, seed, edge * 8):
            offset, bit = divmod(position, 8)
            flipped = bytearray(original)
            flipped[offset] ^= 1 << bit
            became = _outcome(verify, {**evidence, member: bytes(flipped)})
            tried += 1
            if became is not None:
                survivors.append(Survivor(member, offset, bit, became))
    assert tried, "nothing was flipped"
    assert not survivors, f"{len(survivors)} of {tried} flips survived: " + "; ".join(map(str, survivors[:24]))
    return tried


def every_cut_is_refused(
    verify: Verify, evidence: Mapping[str, bytes], members: Iterable[str] | None = None, padded: bool = False
) -> None:
    """Assert that members are refused when they are cut short, empty, absent, doubled, or go on after their end.

    Args:
        verify: of evidence that it accepts as it is.
        evidence: its members.
        members: that are changed; all by default.
        padded: whether the kind of evidence may have something at its end that says nothing, such as zeros; then what
            verifies to the same claims is no survivor.
    """
    found = verify(evidence)
    same = found if padded else _NOTHING
    for member in sorted(evidence if members is None else members):
        whole = evidence[member]
        changed = [whole[:-1], whole[1:], whole[: len(whole) // 2], b"", whole + b"\x01", whole + b"A", whole + whole]
        for bad in changed:
            became = _outcome(verify, {**evidence, member: bad}, same)
            assert became is None, f"{member} of {len(bad)} bytes instead of {len(whole)}: {became}"
        became = _outcome(verify, {name: value for name, value in evidence.items() if name != member})
        assert became is None, f"without {member}: {became}"


def any_bytes_are_refused(
    verify: Verify,
    evidence: Mapping[str, bytes],
    members: Iterable[str] | None = None,
    examples: int = 25,
    padded: bool = False,
) -> None:
    """Assert that no bytes in a member, nor a stretch of them within it, raise anything but a refusal, nor verify.

    Args:
        verify: of evidence that it accepts as it is.
        evidence: its members.
        members: that are changed; all by default.
        examples: how many of each.
        padded: as `every_cut_is_refused` has it.
    """
    names = sorted(evidence if members is None else members)

    @settings(max_examples=examples, database=None)
    @given(st.sampled_from(names), st.binary(max_size=300), st.floats(0, 1), st.booleans())
    def _holds(member: str, some: bytes, where: float, whole: bool) -> None:
        original = evidence[member]
        at = int(where * len(original))
        changed = some if whole else original[:at] + some + original[at + len(some) :]
        if changed != original:
            became = _outcome(verify, {**evidence, member: changed}, same)
            assert became is None, f"{member}: {became}"

    found = verify(evidence)
    same = found if padded else _NOTHING
    _holds()


def _outcome(verify: Verify, evidence: Mapping[str, bytes], same: object = _NOTHING) -> str | None:
    """What became of evidence that has to be refused, or to say the same; none when it did."""
    try:
        said = verify(evidence)
    except EvidenceRefused as refused:
        return None if refused.cause in CAUSES and refused.words else f"refused with the cause {refused.cause!r}"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is reported as a survivor
        return f"raised {type(error).__name__}: {error}"
    return None if said is not None and said == same else "verified"


def _positions(bits: int, sample: int | None, seed: int, edge: int) -> Iterator[int]:
    if sample is None or sample >= bits or ALL_BITS in os.environ:
        yield from range(bits)
        return
    drawn = set(random.Random(seed).sample(range(bits), sample))
    yield from sorted(drawn | set(range(min(edge, bits))) | set(range(max(0, bits - edge), bits)))
