"""The commands of ``ztfm``, one module each."""

import typer

from controlplane.cli import (
    adapter,
    audit,
    audit_export,
    authority,
    decisions,
    demo,
    devices,
    devices_enrolled,
    doctor,
    holds,
    identity,
    keys,
    policy,
    policy_built,
    policy_exceptions,
    policy_history,
    policy_published,
    policy_shadow,
    provenance,
    rounds,
    serve,
    sidecar,
    site,
    tls,
    tokens,
    top,
    witness,
)

app = typer.Typer(
    name="ztfm",
    help="A policy-as-code zero-trust control plane for federated foundation models.\n\nExample: `ztfm serve`",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
app.command("serve")(serve.serve)
app.command("doctor")(doctor.doctor)
app.command("top")(top.top)
app.command("demo")(demo.demo)
app.command("provenance")(provenance.provenance)
policy_built.register(policy.app)
policy_history.register(policy.app)
policy_published.register(policy.app)
policy_exceptions.register(policy.app)
policy_shadow.register(policy.app)
app.add_typer(policy.app, name="policy")
app.add_typer(sidecar.app, name="sidecar")
app.add_typer(tokens.app, name="tokens")
app.add_typer(keys.app, name="keys")
app.add_typer(authority.app, name="authority")
app.add_typer(decisions.app, name="decisions")
devices_enrolled.register(devices.app)
app.add_typer(devices.app, name="devices")
app.add_typer(rounds.app, name="rounds")
app.add_typer(holds.app, name="holds")
app.add_typer(identity.app, name="identity")
audit.app.command("export")(audit_export.export)
audit.app.command("subject")(audit_export.subject)
app.add_typer(audit.app, name="audit")
app.add_typer(witness.app, name="witness")
app.add_typer(tls.app, name="tls")
app.add_typer(adapter.app, name="adapter")
app.add_typer(site.app, name="site")
