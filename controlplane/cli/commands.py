"""The commands of ``ztfm``, one module each, imported when they are called."""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import typer

from controlplane.cli.lazily import MARKUP, Entry, Lazily


def _command(name: str) -> Callable[[], Callable[..., Any]]:
    """A command that is the function of its module's name."""

    def load() -> Callable[..., Any]:
        found: Callable[..., Any] = getattr(import_module(f"controlplane.cli.{name}"), name)
        return found

    return load


def _group(name: str) -> Callable[[], typer.Typer]:
    """A group that is the ``app`` of its module."""

    def load() -> typer.Typer:
        found: typer.Typer = import_module(f"controlplane.cli.{name}").app
        return found

    return load


@cache
def _policy() -> typer.Typer:
    from controlplane.cli import (
        policy,
        policy_built,
        policy_exceptions,
        policy_history,
        policy_published,
        policy_shadow,
    )

    for part in (policy_built, policy_history, policy_published, policy_exceptions, policy_shadow):
        part.register(policy.app)
    return policy.app


@cache
def _attest() -> typer.Typer:
    from controlplane.cli import attest, attest_fetched

    attest.app.add_typer(attest_fetched.app, name="fetch")
    return attest.app


@cache
def _devices() -> typer.Typer:
    from controlplane.cli import devices, devices_attested, devices_enrolled

    devices_enrolled.register(devices.app)
    devices.app.command("attestation")(devices_attested.attestation)
    return devices.app


@cache
def _models() -> typer.Typer:
    from controlplane.cli import models, models_sealed

    models_sealed.register(models.app)
    return models.app


@cache
def _segments() -> typer.Typer:
    from controlplane.cli import segments, segments_enforced, segments_table

    for part in (segments_table, segments_enforced):
        part.register(segments.app)
    return segments.app


@cache
def _audit() -> typer.Typer:
    from controlplane.cli import audit, audit_export

    audit.app.command("export")(audit_export.export)
    audit.app.command("subject")(audit_export.subject)
    return audit.app


COMMANDS = (
    Entry("serve", "Keep a control plane with its OPA sidecar running until interrupted.", _command("serve")),
    Entry(
        "doctor",
        "Say what is missing and how to get it; exits with 1 when something needed is.",
        _command("doctor"),
    ),
    Entry(
        "top",
        "Show decisions, denials, trust, rounds, the engine and what is wrong, again and again, until q or Ctrl-C.",
        _command("top"),
    ),
    Entry(
        "changes",
        "Say of which kind what changes is, within about a second: rounds, devices, decisions, policies, rollbacks.",
        _command("changes"),
    ),
    Entry(
        "demo",
        "Run a federation three times: clean, attacked, and attacked with a guard; then ask the tuned model.",
        _command("demo"),
    ),
    Entry(
        "evaluate",
        "Try attacks against defences on two tasks, in many federations, and report where this system loses.",
        _command("evaluate"),
    ),
    Entry(
        "provenance",
        "Trace a model to every device that shaped it, round by round, from signed statements in the log.",
        _command("provenance"),
    ),
    Entry(
        "policy",
        "Policies: write, check and test them, sign and publish them, go back, and learn why somebody was denied.",
        _policy,
    ),
    Entry("sidecar", "The sidecar's configuration and tokens.", _group("sidecar")),
    Entry("tokens", "Single-use enrolment tokens.", _group("tokens")),
    Entry("keys", "Signing keys: which one signs, the next one, and away with a bad one.", _group("keys")),
    Entry(
        "authority",
        "Authorities of workloads' certificates (SPIFFE): which one signs, and the next one.",
        _group("authority"),
    ),
    Entry("decisions", "Decisions: what was asked for, by whom, and what was missing.", _group("decisions")),
    Entry("attest", "Attestation: the roots that evidence is verified with, and evidence in a file.", _attest),
    Entry(
        "devices",
        "Devices and services: who is enrolled, and setting one apart, back, or out for good.",
        _devices,
    ),
    Entry(
        "rounds",
        "Rounds: who contributed to a model, and having what somebody contributed undone.",
        _group("rounds"),
    ),
    Entry(
        "holds",
        "Holds: actions that policy denies in a segment for a time, because an alert asked for it.",
        _group("holds"),
    ),
    Entry(
        "privacy",
        "Privacy budgets: what was spent of whose data, and what noise would cost.",
        _group("privacy"),
    ),
    Entry(
        "budgets",
        "Budgets of inference: what subjects, models and segments used, and what gateways hold.",
        _group("budgets"),
    ),
    Entry(
        "models",
        "Models that somebody signed: what policy lets be handed out where a model asks for signatures.",
        _models,
    ),
    Entry(
        "secrets",
        "Keys of models and data, kept sealed and released to attested platforms alone.",
        _group("secrets"),
    ),
    Entry(
        "segments",
        "Micro-segmentation: where devices are on the network, and what may be reached from there.",
        _segments,
    ),
    Entry(
        "identity",
        "Identities: what identifiers stand for, and what the ledger says of them.",
        _group("identity"),
    ),
    Entry("audit", "The log of everything that was decided: look through it, and check proofs.", _audit),
    Entry("witness", "Watch logs of other organisations, and sign that they only grow.", _group("witness")),
    Entry("store", "The store: its schema, backups, and putting one back.", _group("store")),
    Entry("tls", "TLS certificates for loopback and labs.", _group("tls")),
    Entry("adapter", "Adapters of federated-learning backends.", _group("adapter")),
    Entry(
        "site",
        "A site's own policy: what comes in and what goes out, decided on the site's own machine.",
        _group("site"),
    ),
)
"""In the order in which they are listed."""


class _Ztfm(Lazily):
    entries = COMMANDS


app = typer.Typer(
    name="ztfm",
    help="A policy-as-code zero-trust control plane for federated foundation models.\n\nExample: `ztfm serve`",
    cls=_Ztfm,
    no_args_is_help=True,
    rich_markup_mode=MARKUP,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)


@app.callback()
def _ztfm() -> None:
    """Nothing comes before a command."""
