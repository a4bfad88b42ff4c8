"""The settings that a command runs with."""

from typing import Any

import typer
from pydantic import ValidationError

from controlplane.settings import Settings


def load_settings(**given: Any) -> Settings:
    """Return the settings from the environment, with what was given on the command line on top.

    Exits with status 2 and the names of the settings that do not fit.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        for item in error.errors(include_input=False):
            name = "_".join(str(part) for part in item["loc"]).upper()
            name = name if name.startswith("OTEL_") else f"ZTFM_{name}"
            typer.echo(f"{name if item['loc'] else 'settings'}: {item['msg']}", err=True)
        raise typer.Exit(2) from None
