"""The commands of ``ztfm``, one module each."""

from collections.abc import Callable

import typer

from controlplane.cli import doctor, serve, sidecar, tokens


def _demo() -> Callable[..., None]:
    try:
        from controlplane.cli import demo
    except ModuleNotFoundError as error:
        return _without(error.name or "evaluation")
    return demo.demo


def _without(missing: str) -> Callable[..., None]:
    def demo() -> None:
        """Run the guarded demo federation; needs the demo's packages."""
        typer.echo(f"ztfm demo: the package '{missing}' is missing: pip install 'ztfm[demo]'", err=True)
        raise typer.Exit(1)

    return demo


app = typer.Typer(
    name="ztfm",
    help="A policy-as-code zero-trust control plane for federated foundation models.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
app.command("serve")(serve.serve)
app.command("doctor")(doctor.doctor)
app.command("demo")(_demo())
app.add_typer(sidecar.app, name="sidecar")
app.add_typer(tokens.app, name="tokens")
