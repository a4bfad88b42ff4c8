"""Personal data in texts, by form, and by check digits wherever a number has some.

Names, addresses and what follows from context are no forms: rules do not see them, a model of your own may.
"""

import re
from collections.abc import Iterator, Sequence

from adapters.gateway.content.checksums import iban, luhn
from adapters.gateway.content.national import national_numbers

# Letters of scripts without spaces stand right beside what they are about: only ASCII's are a word that goes on.
_EMAIL = re.compile(
    r"[\w%+-][\w.%+-]{0,63}+@(?:[\w-]{1,63}+\.){1,8}(?:xn--[A-Za-z0-9-]{2,59}|[A-Za-z]{2,24}|[^\W\d_]{2,24})"
)
_PHONE = re.compile(
    r"(?<![A-Za-z0-9_+])(?<!\d\.)"
    r"(?:(?:\+|00)[1-9](?:[ ().\-/]{0,2}\d){6,13}|(?:\(\d{3}\) ?|\d{3}[-.])\d{3}[-.]\d{4})"
    r"(?!\d)(?!-\d)"
)
_DIGITS = re.compile(r"(?<!\d)(?<!\d\.)\d(?:[ -]?\d){12,}+")
_DIGIT_GROUP = re.compile(r"\d+")
_CARD_DIGITS = range(13, 20)
_LEAST_GROUP = 4
_MOST_GROUPS = 4
_ISSUERS = re.compile(r"4|5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)|3[47]|3(?:0[0-5]|[689])|35|6(?:011|4[4-9]|5|2)")
_IBAN = re.compile(r"(?<![A-Za-z0-9])([A-Za-z]{2})\d{2}(?=[ -]?[A-Za-z0-9])")

_LENGTHS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18 "
    "FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 "
    "LU20 LV21 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 SI19 "
    "SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20"
)
IBAN_LENGTHS = {entry[:2]: int(entry[2:]) for entry in _LENGTHS.split()}
"""Characters of an account number, by country (the registry of ISO 13616)."""


def personal_places(text: str) -> Iterator[tuple[int, int, str]]:
    """Give out where personal data lie in a text, and of which kind they are; places may overlap."""
    if "@" in text:
        yield from ((*match.span(), "email") for match in _EMAIL.finditer(text))
    if not any(map(str.isdigit, text)):
        return
    yield from ((*match.span(), "phone") for match in _PHONE.finditer(text))
    yield from _cards(text)
    yield from _accounts(text)
    yield from national_numbers(text)


def _cards(text: str) -> Iterator[tuple[int, int, str]]:
    for run in _DIGITS.finditer(text):
        groups = [match.span() for match in _DIGIT_GROUP.finditer(text, *run.span())]
        if _is_card(text[run.start() : run.end()]):
            yield *run.span(), "card"
        elif len(groups) > 1:
            # Other numbers may stand before it and after it, as its date and its code do.
            yield from _cards_within(text, groups)


def _cards_within(text: str, groups: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, str]]:
    for at, (start, _) in enumerate(groups):
        digits = 0
        for begins, end in groups[at : at + _MOST_GROUPS]:
            digits += end - begins
            if digits >= _CARD_DIGITS.stop or end - begins < _LEAST_GROUP:
                break
            if digits in _CARD_DIGITS and _is_card(text[start:end]):
                yield start, end, "card"


def _is_card(text: str) -> bool:
    digits = re.sub(r"[ -]", "", text)
    is_long = len(digits) in _CARD_DIGITS
    return is_long and _ISSUERS.match(digits) is not None and luhn(digits) and len(set(digits)) > 1


def _accounts(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _IBAN.finditer(text):
        length = IBAN_LENGTHS.get(match[1].upper())
        end = None if length is None else _end(text, match.start(), length)
        if end is not None and iban(re.sub(r"[ -]", "", text[match.start() : end])):
            yield match.start(), end, "iban"


def _end(text: str, start: int, length: int) -> int | None:
    """Return where ``length`` letters and digits end, one separator between two at most; none where they do not."""
    at, left, is_apart = start, length, False
    while left and at < len(text):
        if text[at].isascii() and text[at].isalnum():
            left, is_apart = left - 1, False
        elif text[at] in " -" and not is_apart:
            is_apart = True
        else:
            return None
        at += 1
    return None if left or (at < len(text) and text[at].isascii() and text[at].isalnum()) else at
