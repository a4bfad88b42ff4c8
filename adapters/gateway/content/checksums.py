"""Check digits: what tells a card, an account or a person's number from any other number."""

from collections.abc import Sequence
from functools import reduce


def luhn(digits: str) -> bool:
    """Whether the last digit fits the others (ISO/IEC 7812-1, annex B)."""
    turned = [int(digit) for digit in reversed(digits)]
    return (sum(turned[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in turned[1::2])) % 10 == 0


def iban(text: str) -> bool:
    """Whether an account number's two check digits fit (ISO 13616, by ISO/IEC 7064 MOD 97-10)."""
    turned = text[4:] + text[:4]
    return int("".join(str(int(char, 36)) for char in turned)) % 97 == 1


def weighted(digits: str, weights: Sequence[int]) -> int:
    """Return the sum of digits, each by its weight."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def mod_11_10(digits: str) -> bool:
    """Whether the last digit fits the others (ISO/IEC 7064 MOD 11,10)."""
    product = reduce(lambda product, digit: ((product + int(digit)) % 10 or 10) * 2 % 11, digits[:-1], 10)
    return (11 - product) % 10 == int(digits[-1])


def verhoeff(digits: str) -> bool:
    """Whether the last digit fits the others (Verhoeff 1969): the dihedral group of a pentagon, and a permutation."""
    check = 0
    for at, digit in enumerate(reversed(digits)):
        check = _turned(check, _permuted(int(digit), at))
    return check == 0


def _turned(one: int, other: int) -> int:
    """Return the product of two turns or flips of a pentagon; 5 to 9 are the flips."""
    sign = -1 if one >= 5 else 1
    return (one % 5 + sign * other % 5) % 5 + (5 if (one >= 5) != (other >= 5) else 0)


def _permuted(digit: int, times: int) -> int:
    for _ in range(times % 8):
        digit = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)[digit]
    return digit
