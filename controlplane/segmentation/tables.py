"""Make a table of what is known: whole, in one order, and named by its content."""

import hashlib
from collections.abc import Mapping, Sequence

import orjson

from controlplane.contracts.segmentation import MAX_GRANTS, Cut, Grant, GrantTable, Service


def table_of(
    services: Mapping[str, Service],
    grants: Sequence[Grant],
    cuts: Sequence[Cut],
    *,
    policy_revision: str,
    made_at: float,
) -> GrantTable:
    """Return the table at ``made_at`` (Unix seconds).

    Grants that ended by then, that are of services which are not named, of devices which are cut off, or of an address
    at which a service listens, are not in it; nor are more than a table can hold.

    Args:
        services: by name.
        grants: of active devices.
        cuts: of those that are not.
        policy_revision: of the policy that names the services.
        made_at: when.
    """
    apart = {cut.device for cut in cuts}
    taken = {address for service in services.values() for address in service.addresses}
    kept = sorted(
        (
            grant
            for grant in grants
            if grant.expires_at > made_at
            and grant.service in services
            and grant.device not in apart
            and grant.source not in taken
        ),
        key=lambda grant: grant.id,
    )[:MAX_GRANTS]
    known = {name: services[name] for name in sorted(services)}
    ordered = sorted(cuts, key=lambda cut: (cut.device, cut.address))
    # Its parts are validated already: of a large table, doing so once more takes as long as all the rest.
    return GrantTable.of_trusted(
        revision=revision_of(known, kept, ordered),
        policy_revision=policy_revision,
        made_at=made_at,
        services=known,
        grants=kept,
        cuts=ordered,
    )


def revision_of(services: Mapping[str, Service], grants: Sequence[Grant], cuts: Sequence[Cut]) -> str:
    """Return the digest (SHA-256, hex) of what a table lets through and cuts; of when it was made nothing."""
    parts = {
        "services": {name: services[name].__dict__ for name in sorted(services)},
        "grants": [grant.__dict__ for grant in grants],
        "cuts": [cut.__dict__ for cut in cuts],
    }
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()
