"""``ztfm identity``: identifiers and what they stand for."""

import typer

from controlplane.cli import identity_checked, identity_ledger, identity_recorded, identity_resolved

app = typer.Typer(
    help="Identities: what identifiers stand for, and what the ledger says of them.\n\n"
    "Example: `ztfm identity resolve did:key:zDnaerx9CtbPJ1q36T5Ln5wYt3MQYeGRG5ehnPAmxcf5mDZpv`",
    no_args_is_help=True,
)


@app.callback()
def _group() -> None:
    """Keep each command a subcommand, also while there is one."""


identity_resolved.register(app)
identity_recorded.register(app)
identity_checked.register(app)
app.add_typer(identity_ledger.app, name="ledger")
