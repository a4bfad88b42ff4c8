"""A recorded decision of a site, for ``ztfm policy explain``: what it told; its policies and facts lie elsewhere."""

import json
from datetime import UTC, datetime

import typer

from controlplane.decisions.sites import PACKAGE
from controlplane.history.records import Recorded

SITE = PACKAGE


def show_site(found: Recorded, *, as_json: bool) -> None:
    """Print what a site told of a decision of its own."""
    document, site = found.document, found.facts["site"]
    if as_json:
        typer.echo(json.dumps(document))
        return
    when = datetime.fromtimestamp(document["time"], UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    typer.echo(f"{document['id']}: {site['outcome']}, {when}, by the site itself")
    about = f" for round {site['round_id']}" if site["round_id"] else ""
    typer.echo(f"{document['subject']} asked its site for {document['action']} of {document['resource']}{about}")
    typer.echo(f"decided by the site's revision {site['policy_revision'] or '(none: it could not decide)'}")
    typer.echo(f"its bundle is {site['policy_digest'] or 'not there, or not to be used'}")
    for code in site["reasons"]:
        typer.echo(f"  MISSING  site:{code}")
    linked = "follows the one before it" if site["is_linked"] else "does not follow one that is on record"
    typer.echo(f"decision {site['sequence']} of its chain, which {linked}; facts are at the site: ztfm site log")
