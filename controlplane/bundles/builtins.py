"""Rego's builtins that WebAssembly leaves to its host, as OPA's own do them, and no others.

Each agrees with OPA 1.22 to the nanosecond and the last digit, which tests compare; `opa-py-wasm` brings some of its
own, which say that they do their best, and so they are not used. What a policy calls and is not here keeps its bundle
from being loaded.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

_INT64 = range(-(2**63), 2**63)
_MANTISSA_BITS = 64
_MAX_DIGITS = 40
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]+))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)
_VERB = re.compile(r"%(.?)", re.DOTALL)
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Undefined(Exception):  # noqa: N818 - Rego's word
    """The builtin has no answer to these operands: in Rego its expression is undefined, which is no fault."""


class Unsupported(Exception):  # noqa: N818 - a state, as callers see it
    """Operands that OPA answers and this does not: a fault, so what was asked is denied."""


def parse_rfc3339_ns(text: Any) -> int:
    """Return nanoseconds since 1970, as Go's `time.Parse` with the layout RFC3339 reads them.

    Go takes an hour of one digit, a comma before the fraction and offsets of up to 24:60, and cuts what is below a
    nanosecond.

    Raises:
        Undefined: it is no such time, or one that an int64 of nanoseconds does not hold.
    """
    match = _RFC3339.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise Undefined
    year, month, day, hour, minute, second, fraction, sign, offset_hours, offset_minutes = match.groups()
    if int(offset_hours or 0) > 24 or int(offset_minutes or 0) > 60:
        raise Undefined
    try:
        # The calendar of Go has a year 0, which is outside the range that is answered anyway.
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    except ValueError:
        raise Undefined from None
    offset = int(offset_hours or 0) * 3600 + int(offset_minutes or 0) * 60
    seconds = (moment - _EPOCH) // timedelta(seconds=1) - (-offset if sign == "-" else offset)
    nanoseconds = seconds * 1_000_000_000 + int((fraction or "0")[:9].ljust(9, "0"))
    if nanoseconds not in _INT64:
        raise Undefined
    return nanoseconds


def clock(moment: Any) -> list[int]:
    """Return hour, minute and second in UTC of nanoseconds since 1970.

    Raises:
        Undefined: it is no whole number that an int64 holds.
        Unsupported: a time zone other than UTC is asked for.
    """
    second = _seconds(moment) % 86_400
    return [second // 3600, second // 60 % 60, second % 60]


def weekday(moment: Any) -> str:
    """Return the English name of the day in UTC of nanoseconds since 1970; raises as `clock` does."""
    return _WEEKDAYS[(_seconds(moment) // 86_400 + 3) % 7]


def date(moment: Any) -> list[int]:
    """Return year, month and day in UTC of nanoseconds since 1970; raises as `clock` does."""
    day = _EPOCH + timedelta(seconds=_seconds(moment))
    return [day.year, day.month, day.day]


def sprintf(template: Any, operands: Any) -> str:
    """Return the template with its operands in place: `%s` text, `%d` a whole number, `%v` text, number or truth.

    Raises:
        Undefined: it is not text and a list.
        Unsupported: any other verb, flag, type or count of operands; Go has an answer to each.
    """
    if not isinstance(template, str) or not isinstance(operands, list):
        raise Undefined
    waiting = iter(operands)

    def shown(match: re.Match[str]) -> str:
        verb = match[1]
        if verb == "%":
            return "%"
        operand = next(waiting, None)
        if verb in ("s", "v") and isinstance(operand, str):
            return operand
        if verb in ("d", "v") and isinstance(operand, int) and not isinstance(operand, bool):
            return str(operand)
        if verb == "v" and isinstance(operand, bool):
            return "true" if operand else "false"
        raise Unsupported(f"sprintf of {match[0]!r} with {type(operand).__name__}")

    text = _VERB.sub(shown, template)
    if next(waiting, _VERB) is not _VERB:
        raise Unsupported("sprintf with more operands than verbs")
    return text


def _seconds(moment: Any) -> int:
    """Whole seconds of a moment; OPA reads the number with a mantissa of 64 bits and takes it when it is whole then."""
    if isinstance(moment, list):
        moment, *others = moment or [None]
        if not all(isinstance(other, str) for other in others[:2]):
            raise Undefined
        if others and others[0] not in ("", "UTC"):
            raise Unsupported("a time zone other than UTC")
    if isinstance(moment, bool) or not isinstance(moment, int | Decimal):
        raise Undefined
    if isinstance(moment, Decimal):
        digits = moment.as_tuple()
        if (moment and not -_MAX_DIGITS < moment.adjusted() < _MAX_DIGITS) or len(digits.digits) > 20 * _MAX_DIGITS:
            raise Undefined
    whole = _rounded(Fraction(moment))
    if whole.denominator != 1 or whole.numerator not in _INT64:
        raise Undefined
    return whole.numerator // 1_000_000_000


def _rounded(exact: Fraction) -> Fraction:
    """The nearest number with a mantissa of 64 bits, ties to even."""
    if not exact:
        return exact
    scale = _MANTISSA_BITS - (exact.numerator.bit_length() - exact.denominator.bit_length())
    for shift in (scale, scale - 1, scale + 1):
        rounded = round(exact * Fraction(2) ** shift)
        if abs(rounded).bit_length() == _MANTISSA_BITS:
            return rounded / Fraction(2) ** shift
    return exact


BUILTINS: Mapping[str, Callable[..., Any]] = {
    "sprintf": sprintf,
    "time.clock": clock,
    "time.date": date,
    "time.parse_rfc3339_ns": parse_rfc3339_ns,
    "time.weekday": weekday,
}
"""By the names that Rego calls them."""
