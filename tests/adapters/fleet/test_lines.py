"""A line of a fleet's file: what it states is read as it stands, and whatever else is there is said by its number."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.fleet.errors import Fault, FleetError
from adapters.fleet.lines import Line, read_csv, read_json_lines

HEADER = "name,roles,segment\n"
TOKEN = "ztfm-enrol-secret-that-nobody-may-see"


def of_csv(text: str) -> list[Line | Fault]:
    return list(read_csv(io.StringIO(text, newline="")))


def of_json(*documents: Any) -> list[Line | Fault]:
    lines = [one if isinstance(one, str) else json.dumps(one) for one in documents]
    return list(read_json_lines(io.StringIO("\n".join(lines) + "\n")))


@pytest.mark.parametrize("roles", ["trainer consumer", "trainer;consumer", "trainer|consumer", '"trainer, consumer"'])
def test_roles_are_separated_as_people_do(roles: str) -> None:
    assert of_csv(f"{HEADER}cam-1,{roles},homes\n") == [
        Line(number=2, name="cam-1", roles=["trainer", "consumer"], segment="homes")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffname,roles,segment\r\ncam-1,trainer,homes\r\n",
        "name;roles;segment\ncam-1;trainer;homes\n",
        "Segment, Name ,roles\nhomes,cam-1, trainer \n",
        '"name","roles","segment"\n\n"cam-1","trainer","homes"',
        "name,roles,segment,token,key\ncam-1,trainer,homes,,\n",
    ],
)
def test_what_spreadsheets_write_is_read(text: str) -> None:
    (line,) = of_csv(text)
    assert isinstance(line, Line)
    assert (line.name, line.roles, line.segment, line.token) == ("cam-1", ["trainer"], "homes", None)


def test_a_line_has_the_number_at_which_it_begins() -> None:
    text = f'{HEADER}cam-1,trainer,homes\n\n"bad\nname",trainer,homes\ncam-2,trainer,homes\n'
    found = of_csv(text)
    assert [one.number if isinstance(one, Line) else -one.line for one in found] == [2, -4, 6]
    assert isinstance(found[1], Fault)
    assert found[1].name == "bad?name"


HEADERS = {
    "name,roles\nx,trainer\n": "lacks 'segment'",
    "name,roles,segment,place\n": "does not know 'place'",
    "name,roles,segment,name\n": "has 'name' twice",
    "": "lacks 'name', 'roles', 'segment'",
    "cam-1,trainer,homes\n": "does not know",
}


@pytest.mark.parametrize("text", HEADERS)
def test_a_header_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(FleetError, match=HEADERS[text]):
        of_csv(text)


ROWS = {
    "Cam 1,trainer,homes": "its name cannot be one",
    "../cam,trainer,homes": "its name cannot be one",
    ".cam,trainer,homes": "its name cannot be one",
    "cam-1,Trainer,homes": "its roles cannot be one",
    "cam-1,a b c d e f g h i,homes": "its roles cannot be one",
    "cam-1,trainer,Homes": "its segment cannot be one",
    "cam-1,,homes": "it lacks 'roles'",
    ",trainer,": "it lacks 'name', 'segment'",
    "cam-1,trainer": "it has 2 columns, and the header has 3",
    "cam-1,trainer,homes,more": "it has 4 columns",
}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_that_states_no_device_is_a_fault_with_a_remedy(row: str) -> None:
    first, second = of_csv(f"{HEADER}{row}\ncam-9,trainer,homes\n")
    assert isinstance(first, Fault)
    assert ROWS[row] in first.what
    assert first.line == 2
    assert first.remedy
    assert isinstance(second, Line)


def test_json_states_the_same() -> None:
    assert of_json({"name": "cam-1", "roles": ["trainer"], "segment": "homes", "token": None}) == [
        Line(number=1, name="cam-1", roles=["trainer"], segment="homes")
    ]


OBJECTS = {
    '{"name":"a","name":"b","roles":["trainer"],"segment":"homes"}': "it states something twice",
    '{"name":"a","roles":"trainer","segment":"homes"}': "its roles cannot be one",
    '{"name":"a","roles":["trainer"],"segment":"homes","number":7}': "it has 'number'",
    '{"name":7,"roles":["trainer"],"segment":"homes"}': "its name cannot be one",
    '["a","trainer","homes"]': "it is no JSON object",
    "[" * 10_000: "it is no JSON",
    "{": "it is no JSON",
}


@pytest.mark.parametrize("text", OBJECTS, ids=range(len(OBJECTS)))
def test_json_that_states_no_device_is_a_fault(text: str) -> None:
    first, second = of_json(text, {"name": "b", "roles": ["trainer"], "segment": "homes"})
    assert isinstance(first, Fault)
    assert OBJECTS[text] in first.what
    assert isinstance(second, Line)


@pytest.mark.parametrize(
    "stated",
    [
        {"token": TOKEN, "credential": "a.txt"},
        {"token": TOKEN, "certificates": "a.pem", "key": "a.pem"},
        {"token": TOKEN, "segment": "NO WORD"},
        {"token": TOKEN + "x" * 9000},
        {"credential": "a.txt"},
        {"certificates": "a.pem"},
    ],
)
def test_what_shows_no_one_thing_is_a_fault_that_shows_no_secret(stated: dict[str, str]) -> None:
    (found,) = of_json({"name": "a", "roles": ["trainer"], "segment": "homes", **stated})
    assert isinstance(found, Fault)
    assert TOKEN not in str(found)


def test_a_line_does_not_show_its_token() -> None:
    (line,) = of_json({"name": "a", "roles": ["trainer"], "segment": "homes", "token": TOKEN})
    assert TOKEN not in repr(line)


def test_a_quotation_mark_too_many_is_found_and_does_not_take_the_file_into_memory() -> None:
    with pytest.raises(FleetError, match="line 2 cannot be read"):
        of_csv(HEADER + '"cam-1,trainer,homes\n' + "x,trainer,homes\n" * 100_000)
    with pytest.raises(FleetError, match="more than 65536"):
        of_csv(HEADER + "x" * 70_000)


def test_something_else_than_utf_8_is_said(tmp_path: Any) -> None:
    path = tmp_path / "fleet.csv"
    path.write_bytes(HEADER.encode() + "Küche,trainer,homes\n".encode("latin-1"))
    with path.open(encoding="utf-8", newline="") as file, pytest.raises(FleetError, match="UTF-8"):
        list(read_csv(file))


_TEXTS = st.text(st.characters(codec="utf-8"), max_size=200)


@given(st.lists(_TEXTS, max_size=8))
def test_whatever_a_file_holds_is_read_or_refused(rows: list[str]) -> None:
    for text, read in ((HEADER + "\n".join(rows), read_csv), ("\n".join(rows), read_json_lines)):
        try:
            for one in read(io.StringIO(text, newline="")):
                assert isinstance(one, Line | Fault)
                assert str(one).isprintable() or isinstance(one, Line)
        except FleetError as error:
            assert str(error).isprintable()
