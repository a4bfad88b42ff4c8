"""What is taken back from a table before it is in force, and what is left of rules when a new table cannot be: pure."""

from collections import defaultdict
from collections.abc import Callable

from controlplane.contracts.segmentation import Grant, GrantTable
from controlplane.segmentation.flows import Flow, Rules

IsVoid = Callable[[Grant, float], bool]
"""Whether a grant is void that stands in a table made at a moment, Unix seconds."""


def withheld(table: GrantTable, is_void: IsVoid) -> GrantTable:
    """Return a table without the grants that were revoked since it was made; the same one where none was."""
    good = [grant for grant in table.grants if not is_void(grant, table.made_at)]
    return table if len(good) == len(table.grants) else table.model_copy(update={"grants": good})


def narrowed(rules: Rules, table: GrantTable) -> Rules:
    """Return what both rules and a table let through, for no longer than either; the cuts of both.

    It is never more than was in force, so it can take the place of a table that is too large or was refused: what
    that one takes away is gone, and what it adds waits.
    """
    cut = rules.cut | {one.address for one in table.cuts}
    devices = {one.device for one in table.cuts}
    ends: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for grant in table.grants:
        if grant.device not in devices:
            ends[grant.source].append((grant.service, grant.expires_at))
    opens = {
        name: {(address, service.protocol, port) for address in service.addresses for port in service.ports}
        for name, service in table.services.items()
    }
    flows: dict[Flow, int] = {}
    for flow, end in rules.flows.items():
        if flow.source in cut or flow.destination in cut:
            continue
        wanted = (flow.destination, flow.protocol, flow.port)
        until = max((at for name, at in ends.get(flow.source, ()) if wanted in opens[name]), default=0.0)
        if until > 0:
            flows[flow] = min(end, int(until))
    return Rules(flows, cut)


def common(one: Rules, other: Rules) -> Rules:
    """Return what both let through, for no longer than either; the cuts of both."""
    flows = {flow: min(end, other.flows[flow]) for flow, end in one.flows.items() if flow in other.flows}
    return Rules(flows, one.cut | other.cut)
