"""Rules compiled to CiliumNetworkPolicy objects: as those of Kubernetes, and addresses that are cut off are denied.

Cilium's denials win over whatever any other policy allows, in both directions. (cilium.io/v2; blocks match what comes
from outside the cluster alone.)
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from controlplane.contracts.segmentation import GrantTable, Protocol
from controlplane.segmentation.flows import Admission
from controlplane.segmentation.kubernetes import (
    MAX_PEERS,
    OWNED,
    SERVICE_LABEL,
    NotCompiled,
    address_of,
    cidr,
    label_value,
    metadata,
    name_of,
    sharded,
    spec_of,
)

_PROTOCOLS: Mapping[str, Protocol] = {"TCP": "tcp", "UDP": "udp"}


def policies(
    table: GrantTable, now: float, namespace: str, *, services: Collection[str] | None = None, shards: int = 1
) -> list[dict[str, Any]]:
    """Return the objects of a namespace: first the one that closes it and denies, then those that let in.

    Where more addresses are cut off than one object can name, further ones that deny come second.

    Args:
        table: the whole of it.
        now: Unix seconds.
        namespace: in which the pods of the services are.
        services: those that are in the namespace; all of the table by default.
        shards: objects for each service, always all of them.

    Raises:
        TooManyPeers: a shard names more addresses than an object can hold.
    """
    chosen = sorted(table.services if services is None else table.services.keys() & set(services))
    objects = list(_closing(table, namespace))
    for name, shard, admitted in sharded(table, now, chosen, shards):
        service = table.services[name]
        ports = [{"port": str(port), "protocol": service.protocol.upper()} for port in sorted(set(service.ports))]
        ingress = {"fromCIDR": [cidr(source) for source in sorted(admitted)], "toPorts": [{"ports": ports}]}
        objects.append(
            {
                "apiVersion": "cilium.io/v2",
                "kind": "CiliumNetworkPolicy",
                "metadata": metadata(name, shard, namespace, admitted.values()),
                "spec": {
                    "endpointSelector": {"matchLabels": {SERVICE_LABEL: label_value(name)}},
                    "enableDefaultDeny": {"ingress": True, "egress": False},
                    # One empty rule allows nothing and closes; a rule with an empty list of blocks would be an error.
                    "ingress": [ingress] if admitted else [{}],
                },
            }
        )
    return objects


def admitted_by(objects: Iterable[Mapping[str, Any]]) -> tuple[frozenset[Admission], frozenset[str]]:
    """Return whom objects let in, with services by the values of their label, and which addresses they deny.

    Args:
        objects: such as the items of `kubectl get ciliumnetworkpolicy -l app.kubernetes.io/managed-by=ztfm -o json`.

    Raises:
        NotCompiled: one is not of the form that we compile.
    """
    found: set[Admission] = set()
    denied: set[str] = set()
    for each in objects:
        try:
            spec = spec_of(each, "cilium.io/v2", "CiliumNetworkPolicy")
            if spec["enableDefaultDeny"] != {"ingress": True, "egress": False} or spec.keys() - _PARTS:
                raise ValueError("it does not close what comes in, or says more than that")
            rules = [rule for rule in spec["ingress"] if rule]
            if rules:
                [(label, service)] = spec["endpointSelector"].get("matchLabels", {}).items()
                if label != SERVICE_LABEL or spec["endpointSelector"].keys() != {"matchLabels"}:
                    raise ValueError("it is not about one service")
            elif spec.keys() & {"ingressDeny", "egressDeny"} and spec["endpointSelector"] != _EVERY_SERVICE:
                raise ValueError("it denies for some pods, and not for those of every service")
            for rule in rules:
                found |= set(_let_in(rule, service))
            denied |= _denied(spec)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise NotCompiled(f"CiliumNetworkPolicy `{name_of(each)}` is not one that we compile: {error}") from None
    return frozenset(found), frozenset(denied)


_PORT = re.compile(r"[1-9][0-9]{0,4}")
_EVERY_SERVICE = {"matchExpressions": [{"key": SERVICE_LABEL, "operator": "Exists"}]}
_PARTS = {"endpointSelector", "enableDefaultDeny", "ingress", "ingressDeny", "egressDeny"}


def _let_in(rule: Mapping[str, Any], service: str) -> Iterator[Admission]:
    if rule.keys() != {"fromCIDR", "toPorts"} or not rule["fromCIDR"]:
        raise ValueError("a rule lets in others than addresses")
    [listed] = rule["toPorts"]
    if listed.keys() != {"ports"} or not listed["ports"]:
        raise ValueError("a rule lets in on all ports")
    for block in rule["fromCIDR"]:
        for port in listed["ports"]:
            if port.keys() != {"port", "protocol"} or not _PORT.fullmatch(port["port"]):
                raise ValueError("a port is not a number with its protocol")
            yield Admission(address_of(block), service, _PROTOCOLS[port["protocol"]], int(port["port"]))


def _denied(spec: Mapping[str, Any]) -> set[str]:
    coming, going = _blocks(spec, "ingressDeny", "fromCIDR"), _blocks(spec, "egressDeny", "toCIDR")
    if coming != going:
        raise ValueError("it denies in one direction what it does not in the other")
    return coming


def _blocks(spec: Mapping[str, Any], direction: str, listed: str) -> set[str]:
    found: set[str] = set()
    for rule in spec.get(direction, []):
        # Whatever else a rule has narrows what it denies, such as to some ports.
        if rule.keys() != {listed}:
            raise ValueError("it denies something of an address, and not everything")
        found |= {address_of(block) for block in rule[listed]}
    return found


def _closing(table: GrantTable, namespace: str) -> Iterator[dict[str, Any]]:
    blocks = [cidr(address) for address in sorted({each.address for each in table.cuts})]
    # Each block stands in an object twice.
    most = MAX_PEERS // 2
    for first in range(0, max(len(blocks), 1), most):
        denied = blocks[first : first + most]
        spec: dict[str, Any] = {
            "endpointSelector": _EVERY_SERVICE,
            "enableDefaultDeny": {"ingress": True, "egress": False},
            "ingress": [{}],
        }
        if denied:
            spec |= {"ingressDeny": [{"fromCIDR": denied}], "egressDeny": [{"toCIDR": denied}]}
        # With a dot before its number, where those of services have a hyphen.
        name = "ztfm-closed" if first == 0 else f"ztfm-closed.{first // most}"
        yield {
            "apiVersion": "cilium.io/v2",
            "kind": "CiliumNetworkPolicy",
            "metadata": {"name": name, "namespace": namespace, "labels": dict(OWNED)},
            "spec": spec,
        }
