"""The lines of a fleet's file, CSV or JSON Lines, read one at a time: what a device is to be, or what is wrong."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, TextIO

from pydantic import Field, StringConstraints, ValidationError

from adapters.fleet.errors import Fault, FleetError, printable
from controlplane.contracts.base import Label, StrictModel, Token
from controlplane.contracts.identity import Roles

COLUMNS = ("name", "roles", "segment", "token", "credential", "certificates", "key")
"""What a line may state; the first three it must."""

MAX_LINE_CHARS = 65_536
"""Longer lines, and longer fields, are not read."""

_EVIDENCE = ("token", "credential", "certificates")
_SEPARATORS = str.maketrans(",;|", "   ")

_REMEDIES: Mapping[str, str] = {
    "name": "A name has 1 to 64 letters, digits, dots, dashes or underscores, and begins with a letter or a digit.",
    "roles": "Roles are one to eight words such as trainer, separated by spaces; in JSON a list of them.",
    "segment": "A segment is a word such as homes, in small letters.",
    "token": "A token is what `ztfm tokens issue` printed, in one line.",
    "credential": "Give the path of a file, from the folder of the fleet's file.",
    "certificates": "Give the path of a file, from the folder of the fleet's file.",
    "key": "Give the path of a file, from the folder of the fleet's file.",
}

Place = Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""A path of a file, from the folder of the fleet's file."""


class Line(StrictModel):
    """A device as the file states it.

    Attributes:
        number: of the line where it begins, counted from 1.
        name: what the station calls it, and its folder; the control plane never hears of it.
        roles: what it will do.
        segment: where it lives.
        token: a single-use enrolment token.
        credential: file of an issuer's credential (`adapters.presenting.Credential`).
        certificates: file of its manufacturer's certificates (`adapters.presenting.Certificates`).
        key: file of its private key; none has one made.
    """

    number: int
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    roles: Roles
    segment: Label
    token: Annotated[Token | None, Field(repr=False)] = None
    credential: Place | None = None
    certificates: Place | None = None
    key: Place | None = None

    @property
    def has_evidence(self) -> bool:
        """Whether it says by what it may enrol; else a token is issued for it."""
        return any(getattr(self, name) is not None for name in _EVIDENCE)

    @property
    def group(self) -> tuple[tuple[str, ...], str]:
        """Roles, sorted and each once, and segment: one token does for any device of a group."""
        return tuple(sorted(set(self.roles))), self.segment


def read_csv(file: TextIO) -> Iterator[Line | Fault]:
    """Yield each line of a CSV file with a header, as spreadsheets write them, comma or semicolon between columns.

    Args:
        file: opened with ``newline=""``.

    Raises:
        FleetError: the header is none, or the file cannot be read any further.
    """
    pieces = _pieces(file)
    header = next(pieces, "").removeprefix("\ufeff")
    delimiter = ";" if ";" in header and "," not in header else ","
    columns = [name.strip().lower() for name in next(csv.reader([header], delimiter=delimiter), [])]
    _require_columns(columns)
    rows = csv.reader(pieces, delimiter=delimiter, strict=True)
    number = 2
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise FleetError(f"line {number} cannot be read ({error}): look for a quotation mark too many") from None
        if any(cell.strip() for cell in row):
            yield _of_row(number, columns, row)
        number = rows.line_num + 2


def read_json_lines(file: TextIO) -> Iterator[Line | Fault]:
    """Yield each line of a file with one JSON object a line.

    Args:
        file: opened as text.

    Raises:
        FleetError: a line is too long.
    """
    for number, piece in enumerate(_pieces(file), start=1):
        text = piece.removeprefix("\ufeff").strip()
        if text:
            yield _of_json(number, text)


def _pieces(file: TextIO) -> Iterator[str]:
    number = 0
    try:
        while piece := file.readline(MAX_LINE_CHARS + 1):
            number += 1
            if len(piece) > MAX_LINE_CHARS:
                raise FleetError(f"line {number} has more than {MAX_LINE_CHARS} characters: is this a fleet's file?")
            yield piece
    except UnicodeDecodeError:
        raise FleetError(f"after line {number} there is something else than UTF-8: save the file as UTF-8") from None


def _require_columns(columns: Sequence[str]) -> None:
    unknown = sorted(set(columns) - set(COLUMNS))
    missing = [name for name in COLUMNS[:3] if name not in columns]
    twice = sorted({name for name in columns if columns.count(name) > 1})
    said = [
        *([f"does not know {_named(unknown)}"] if unknown else []),
        *([f"lacks {_named(missing)}"] if missing else []),
        *([f"has {_named(twice)} twice"] if twice else []),
    ]
    if said:
        raise FleetError(f"line 1, the header, {' and '.join(said)}. Columns are {', '.join(COLUMNS)}")


def _of_row(number: int, columns: Sequence[str], row: Sequence[str]) -> Line | Fault:
    if len(row) != len(columns):
        name = row[columns.index("name")].strip() if columns.index("name") < len(row) else ""
        what = f"it has {len(row)} columns, and the header has {len(columns)}"
        return Fault(number, _shown(name), what, "Put quotation marks around a cell that holds the separator.")
    stated: dict[str, Any] = {name: cell.strip() for name, cell in zip(columns, row, strict=True) if cell.strip()}
    if "roles" in stated:
        stated["roles"] = stated["roles"].translate(_SEPARATORS).split()
    return _line(number, stated)


def _of_json(number: int, text: str) -> Line | Fault:
    try:
        stated = json.loads(text, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        what = str(error) if isinstance(error, _TwiceError) else "it is no JSON"
        return Fault(number, "", what, "Each line is one JSON object.")
    if not isinstance(stated, dict):
        return Fault(number, "", "it is no JSON object", "Each line is one JSON object.")
    unknown = sorted(stated.keys() - set(COLUMNS))
    if unknown:
        name = stated.get("name")
        known = f"Known are {', '.join(COLUMNS)}."
        return Fault(number, _shown(name if isinstance(name, str) else ""), f"it has {_named(unknown)}", known)
    return _line(number, {name: value for name, value in stated.items() if value is not None})


class _TwiceError(ValueError):
    """A member of a JSON object is there twice."""


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _TwiceError("it states something twice")
    return found


def _line(number: int, stated: Mapping[str, Any]) -> Line | Fault:
    name = stated.get("name")
    shown = _shown(name if isinstance(name, str) else "")
    try:
        line = Line(number=number, **stated)
    except ValidationError as error:
        # Of the values none is shown: one of them may be a token.
        wrong = list(dict.fromkeys(str(one["loc"][0]) for one in error.errors(include_input=False, include_url=False)))
        lacks = [one for one in wrong if one not in stated]
        said = [
            *([f"it lacks {_named(lacks)}"] if lacks else []),
            *(f"its {one} cannot be one" for one in wrong if one in stated),
        ]
        return Fault(number, shown, "; ".join(said), " ".join(_REMEDIES[one] for one in wrong))
    shows = [one for one in _EVIDENCE if getattr(line, one) is not None]
    if len(shows) > 1:
        return Fault(number, shown, f"it shows {' and '.join(shows)}", "A device enrols by one of them.")
    if shows not in ([], ["token"]) and line.key is None:
        what = f"it shows {shows[0]} and no key"
        return Fault(number, shown, what, "What others say of a device names its key: give the key's file.")
    return line


def _named(names: Sequence[str]) -> str:
    return ", ".join(repr(_shown(name)) for name in names[:5]) + (f" and {len(names) - 5} more" if names[5:] else "")


def _shown(text: str) -> str:
    return printable(text[:64])
