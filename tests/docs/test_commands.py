"""Every command line that the documents show is one: the command exists, and so do its options."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer.main

from controlplane.cli.commands import app
from tests.docs.test_documents import DOCUMENTS, ROOT

GROUP = typer.main.get_command(app)
_BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def shown(text: str) -> Iterator[list[str]]:
    """Return the arguments of each ``ztfm`` in a document's shell blocks and in its inline code."""
    inline = re.findall(r"`(ztfm [^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    blocks = [line for block in _BLOCK.findall(text) for line in re.sub(r"\\\n\s*", "", block).splitlines()]
    for line in [*(re.sub(r"\s+", " ", found) for found in inline), *blocks]:
        words = [word for word in shlex.split(line, comments=True) if word]
        for at, word in enumerate(words):
            if word.rpartition("/")[2] == "ztfm":
                rest = words[at + 1 :]
                end = next((index for index, one in enumerate(rest) if one in {"|", ">", "&&", "&", ";", "2>"}), None)
                yield rest[:end]


def unknown(arguments: list[str]) -> str:
    """Return what of a command line there is not; nothing when all of it is."""
    command: click.Command = GROUP
    while isinstance(command, click.Group) and arguments:
        name, *arguments = arguments
        if name.startswith("-"):
            break
        # One line may name several: `ztfm policy publish|rollback`; an error's first words end with a colon.
        found = [command.get_command(click.Context(command), one) for one in name.rstrip(".,;:").split("|")]
        if None in found:
            return f"no command {name}"
        command = found[0]
    known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help"}
    given = {word.partition("=")[0] for word in arguments if word.startswith("--")}
    return " ".join(sorted(given - known))


# The changelog tells of commands that are gone.
@pytest.mark.parametrize(
    "path", [one for one in DOCUMENTS if one.name != "CHANGELOG.md"], ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_commands_and_options_are_there(path: Path) -> None:
    assert [(" ".join(line), lacks) for line in shown(path.read_text()) if (lacks := unknown(line))] == []


def test_what_is_not_there_would_be_found() -> None:
    block = "X=1 ztfm policy status --jsonn  # note\n.venv/bin/ztfm policy \\\n  pubish x"
    text = f"`ztfm policy eval a`\n```sh\n{block}\n```\n"
    assert [unknown(line) for line in shown(text)] == ["", "--jsonn", "no command pubish"]
