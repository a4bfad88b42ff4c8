"""A group of commands whose modules are imported when they are called, not when they are listed."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import click
import typer
from typer.core import TyperGroup
from typer.main import get_command_from_info, get_group_from_info
from typer.models import CommandInfo, TyperInfo

MARKUP: Literal["markdown"] = "markdown"


class Entry(NamedTuple):
    """A command or a group of them, before anybody called it.

    Attributes:
        name: what it is called by.
        summary: its line in the list of commands.
        load: imports what it needs, and returns it.
    """

    name: str
    summary: str
    load: Callable[[], "typer.Typer | Callable[..., Any]"]


class Lazily(TyperGroup):
    """Knows its commands by name and summary; which those are, a subclass says in ``entries``."""

    entries: tuple[Entry, ...] = ()

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self._loads = {entry.name: entry.load for entry in self.entries}
        self._is_listing = False
        for entry in self.entries:
            self.commands[entry.name] = click.Command(entry.name, help=entry.summary)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported now unless it is only to be listed."""
        if not self._is_listing and cmd_name in self._loads:
            self.commands[cmd_name] = _built(cmd_name, self._loads.pop(cmd_name)())
        return super().get_command(ctx, cmd_name)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        self._is_listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._is_listing = False


def _built(name: str, found: "typer.Typer | Callable[..., Any]") -> click.Command:
    if isinstance(found, typer.Typer):
        return get_group_from_info(
            TyperInfo(found, name=name), pretty_exceptions_short=True, suggest_commands=True, rich_markup_mode=MARKUP
        )
    return get_command_from_info(
        CommandInfo(name=name, callback=found), pretty_exceptions_short=True, rich_markup_mode=MARKUP
    )
