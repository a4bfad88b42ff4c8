"""Shamir's sharing of 32-byte secrets over a prime field (Shamir: How to share a secret, CACM 22, 1979).

Any ``threshold`` shares give the secret, fewer say nothing about it. Python's integers are not constant in time: how
long sharing takes may depend on the secret. What is shared here is used once, by a device that shares once a session,
and never at another's bidding again, so that nobody gets a second measurement of the same secret. Do not share keys
that live longer with it.
"""

from collections.abc import Callable, Mapping

PRIME = 2**256 + 297
"""The least prime above all 32-byte numbers."""

SECRET_BYTES = 32
SHARE_BYTES = 33


def share(secret: bytes, threshold: int, holders: int, random: Callable[[int], bytes]) -> list[bytes]:
    """Return a share for each of the points 1 to ``holders``, 33 bytes each.

    Args:
        secret: 32 bytes.
        threshold: so many shares give it back.
        holders: of shares.
        random: returns so many bytes that nobody can predict.

    Raises:
        ValueError: the secret has another length, or the threshold is not within 1 and ``holders``.
    """
    if len(secret) != SECRET_BYTES or not 1 <= threshold <= holders:
        raise ValueError(f"a secret has {SECRET_BYTES} bytes and a threshold is within 1 and the number of holders")
    # 16 bytes more than needed leave a bias of 2^-128 only.
    coefficients = [int.from_bytes(random(SHARE_BYTES + 16), "big") % PRIME for _ in range(threshold - 1)]
    coefficients.append(int.from_bytes(secret, "big"))
    return [_at(coefficients, point).to_bytes(SHARE_BYTES, "big") for point in range(1, holders + 1)]


def combine(shares: Mapping[int, bytes], threshold: int) -> bytes | None:
    """Return the secret behind shares, or none where they are none of a 32-byte secret.

    That they are the right ones cannot be seen from them: whoever combines compares what comes out with a commitment.

    Args:
        shares: by point; the first ``threshold`` of them in order are used.
        threshold: as when it was shared.

    Raises:
        ValueError: there are fewer shares than the threshold, or one is not of the field.
    """
    points = sorted(shares)[:threshold]
    values = [int.from_bytes(shares[point], "big") for point in points]
    if threshold < 1 or len(points) < threshold:
        raise ValueError(f"{len(points)} shares are fewer than the threshold of {threshold}")
    if any(point < 1 for point in points) or any(not 0 <= value < PRIME for value in values):
        raise ValueError("a share is not of the field")
    secret = sum(value * _weight(points, point) for point, value in zip(points, values, strict=True)) % PRIME
    return secret.to_bytes(SECRET_BYTES, "big") if secret < 1 << 256 else None


def _at(coefficients: list[int], point: int) -> int:
    """The polynomial's value, highest coefficient first (Horner)."""
    value = 0
    for coefficient in coefficients:
        value = (value * point + coefficient) % PRIME
    return value


def _weight(points: list[int], point: int) -> int:
    """Lagrange's coefficient of a point, at 0."""
    above, below = 1, 1
    for other in points:
        if other != point:
            above = above * other % PRIME
            below = below * (other - point) % PRIME
    return above * pow(below, -1, PRIME) % PRIME
