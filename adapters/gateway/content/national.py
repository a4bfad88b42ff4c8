"""Numbers that states give to persons, by their form, and by their check digits where they have some.

Each state publishes how its numbers are made; a number without check digits (``us_ssn``, ``gb_nino``) is told by its
form alone, and one that looks like any other number (``nl_bsn``) by the word before it.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from adapters.gateway.content.checksums import luhn, mod_11_10, verhoeff, weighted

_SPANISH = "TRWAGMYFPDXBNJZSQVHLCKE"
_FINNISH = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_CHINESE = "10X98765432"
_ITALIAN_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
_NOT_BRITISH = ("BG", "GB", "KN", "NK", "NT", "TN", "ZZ")


class Form(NamedTuple):
    """How numbers of one kind look.

    Attributes:
        kind: of number: the state (ISO 3166-1 alpha-2), and its own word for it.
        pattern: of it; its first group, where it has one, is the number.
        fits: whether the check digits of the number, in capitals and without separators, fit.
    """

    kind: str
    pattern: re.Pattern[str]
    fits: Callable[[str], bool]


def national_numbers(text: str) -> Iterator[tuple[int, int, str]]:
    """Give out where in a text a person's number lies, and of which kind it is."""
    for form in FORMS:
        for match in form.pattern.finditer(text):
            group = 1 if match.re.groups else 0
            number = re.sub(r"[^0-9A-Za-z+-]", "", match[group]).upper()
            if form.fits(number if form.kind in _SIGNED else re.sub(r"[+-]", "", number)):
                yield *match.span(group), form.kind


def _form(kind: str, pattern: str, fits: Callable[[str], bool]) -> Form:
    # Letters of scripts without spaces stand right beside a number: only ASCII's are a word that goes on.
    within = rf"(?<![A-Za-z0-9_])(?<!\d[.-])(?:{pattern})(?![A-Za-z0-9_])(?!-\d)"
    return Form(kind, re.compile(within, re.IGNORECASE), fits)


def _as_it_is(_number: str) -> bool:
    return True


def _is_date(month: str, day: str) -> bool:
    return 1 <= int(month) <= 12 and 1 <= int(day) <= 31


def _brazil(number: str) -> bool:
    first = weighted(number[:9], range(10, 1, -1)) * 10 % 11 % 10
    second = weighted(number[:10], range(11, 1, -1)) * 10 % 11 % 10
    return number[9:] == f"{first}{second}" and len(set(number)) > 1


def _china(number: str) -> bool:
    weights = [2**at % 11 for at in range(17, 0, -1)]
    return _is_date(number[10:12], number[12:14]) and _CHINESE[weighted(number[:17], weights) % 11] == number[17]


def _finland(number: str) -> bool:
    return _is_date(number[2:4], number[:2]) and _FINNISH[int(number[:6] + number[7:10]) % 31] == number[10]


def _france(number: str) -> bool:
    plain = number.replace("2A", "19").replace("2B", "18") if not number.isdigit() else number
    return plain.isdigit() and 97 - int(plain[:13]) % 97 == int(plain[13:])


def _germany(number: str) -> bool:
    counts = sorted(number[:10].count(digit) for digit in set(number[:10]))
    # One digit is there twice or three times, and all others once or not at all.
    return number[0] != "0" and counts[-1] in (2, 3) and set(counts[:-1]) == {1} and mod_11_10(number)


def _italy(number: str) -> bool:
    values = [int(char) if char.isdigit() else ord(char) - ord("A") for char in number[:15]]
    total = sum(_ITALIAN_ODD[value] for value in values[::2]) + sum(values[1::2])
    return ord(number[15]) - ord("A") == total % 26


def _netherlands(number: str) -> bool:
    return weighted(number, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0 and number != "0" * 9


def _norway(number: str) -> bool:
    first = weighted(number, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11
    second = weighted(number, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11
    return _is_date(number[2:4], number[:2]) and first == 0 and second == 0


def _poland(number: str) -> bool:
    return (
        _is_date(f"{int(number[2:4]) % 20:02}", number[4:6])
        and weighted(number, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0
    )


def _spain(number: str) -> bool:
    digits = number[:-1].translate(str.maketrans("XYZ", "012"))
    return _SPANISH[int(digits) % 23] == number[-1]


def _sweden(number: str) -> bool:
    short = number[-10:]
    return _is_date(short[2:4], short[4:6]) and luhn(short)


def _united_kingdom(number: str) -> bool:
    return number[:2] not in _NOT_BRITISH


_SIGNED = frozenset({"fi_hetu"})
"""Whose sign in the middle is part of the number."""

FORMS = (
    _form("br_cpf", r"\d{3}\.?\d{3}\.?\d{3}-?\d{2}", _brazil),
    _form("cn_resident", r"[1-9]\d{16}[\dX]", _china),
    _form("de_tax", r"\d{2} ?\d{3} ?\d{3} ?\d{3}", _germany),
    _form("es_dni", r"(?:\d{8}|[XYZ]-?\d{7})-?[A-Z]", _spain),
    _form("fi_hetu", r"\d{6}[+A-FU-Y-]\d{3}[0-9A-FHJ-NPR-Y]", _finland),
    _form("fr_nir", r"[12] ?\d{2} ?\d{2} ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}", _france),
    _form("gb_nino", r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]", _united_kingdom),
    _form("in_aadhaar", r"[2-9]\d{3}[ -]?\d{4}[ -]?\d{4}", verhoeff),
    _form("it_fiscal", r"[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]", _italy),
    _form("nl_bsn", r"(?:bsn|burgerservicenummer|sofinummer)[\s:=.-]{0,8}(\d{9})", _netherlands),
    _form("no_person", r"\d{6} ?\d{5}", _norway),
    _form("pl_pesel", r"\d{11}", _poland),
    _form("se_person", r"(?:19|20)?\d{6}[+-]\d{4}", _sweden),
    _form("us_ssn", r"(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}", _as_it_is),
)
"""All that are known; nobody pretends that these are all there are."""
