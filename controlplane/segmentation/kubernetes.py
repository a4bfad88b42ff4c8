"""Rules compiled to Kubernetes NetworkPolicy objects: who may open connections to the pods of a service.

A pod is of a service by its label `ztfm/service`. One object closes all such pods; the others, which only ever add,
let the addresses in that hold grants. Kubernetes knows no time: each object says in an annotation until when it may
stand, and whoever applies them compiles anew by then. How many objects there are for a service does not depend on its
grants, so that none is left over when they end. (networking.k8s.io/v1; RFC 1123 for names.)
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from ipaddress import ip_network
from typing import Any

from controlplane.contracts.segmentation import GrantTable, Protocol
from controlplane.segmentation.flows import Admission, admissions_of, family_of

SERVICE_LABEL = "ztfm/service"
UNTIL = "ztfm/until"
OWNED = {"app.kubernetes.io/managed-by": "ztfm"}
"""On each object: `kubectl apply --prune -l app.kubernetes.io/managed-by=ztfm` removes those of services that went."""

MAX_PEERS = 10_000
"""Of one object: etcd takes none of more than 1.5 MB."""

_LABEL_VALUE = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")
_HASHED = re.compile(r".*-[0-9a-f]{12}")
_PROTOCOLS: Mapping[str, Protocol] = {"TCP": "tcp", "UDP": "udp"}


class TooManyPeers(Exception):  # noqa: N818 - what is wrong with a table, as callers see it
    """More addresses hold grants for a service than one object can name."""


class NotCompiled(Exception):  # noqa: N818 - a state of objects, as callers see it
    """Objects are not of the form that we compile."""


def policies(
    table: GrantTable, now: float, namespace: str, *, services: Collection[str] | None = None, shards: int = 1
) -> list[dict[str, Any]]:
    """Return the objects of a namespace: first the one that closes it, then those that let in.

    Args:
        table: the whole of it.
        now: Unix seconds.
        namespace: in which the pods of the services are.
        services: those that are in the namespace; all of the table by default.
        shards: objects for each service, always all of them.

    Raises:
        TooManyPeers: a shard names more than MAX_PEERS addresses.
    """
    chosen = sorted(table.services if services is None else table.services.keys() & set(services))
    objects = [_closing(namespace)]
    for name, shard, admitted in sharded(table, now, chosen, shards):
        ports = table.services[name]
        ingress = {
            "from": [{"ipBlock": {"cidr": cidr(source)}} for source in sorted(admitted)],
            "ports": [{"protocol": ports.protocol.upper(), "port": port} for port in sorted(set(ports.ports))],
        }
        objects.append(
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": metadata(name, shard, namespace, admitted.values()),
                "spec": {
                    "podSelector": {"matchLabels": {SERVICE_LABEL: label_value(name)}},
                    "policyTypes": ["Ingress"],
                    # A rule without peers would let in everybody: no grants, no rule.
                    "ingress": [ingress] if admitted else [],
                },
            }
        )
    return objects


def admitted_by(objects: Iterable[Mapping[str, Any]]) -> frozenset[Admission]:
    """Return whom objects let in, with services by the values of their label: to compare what is in the cluster.

    Args:
        objects: such as the items of `kubectl get networkpolicy -l app.kubernetes.io/managed-by=ztfm -o json`.

    Raises:
        NotCompiled: one is not of the form that we compile.
    """
    found: set[Admission] = set()
    for each in objects:
        try:
            spec = spec_of(each, "networking.k8s.io/v1", "NetworkPolicy")
            if spec["policyTypes"] != ["Ingress"] or spec.keys() - {"podSelector", "policyTypes", "ingress"}:
                raise ValueError("it is not about ingress alone")
            rules = spec.get("ingress") or []
            if rules:
                [(label, service)] = spec["podSelector"].get("matchLabels", {}).items()
                if label != SERVICE_LABEL or spec["podSelector"].keys() != {"matchLabels"}:
                    raise ValueError("it is not about one service")
            for rule in rules:
                found |= set(_let_in(rule, service))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise NotCompiled(f"NetworkPolicy `{name_of(each)}` is not one that we compile: {error}") from None
    return frozenset(found)


def differences(meant: Iterable[Mapping[str, Any]], found: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return in what the objects of a cluster differ from those that were compiled, of either kind, each in a sentence.

    Args:
        meant: what was compiled.
        found: all objects of that kind in the namespace that bear our label.
    """
    wanted = {name_of(each): each for each in meant}
    there = {name_of(each): each for each in found}
    told = [f"`{name}` is missing" for name in sorted(wanted.keys() - there.keys())]
    told += [f"`{name}` is left over: delete it" for name in sorted(there.keys() - wanted.keys())]
    told += [
        f"`{name}` is another than was compiled: apply it"
        for name in sorted(wanted.keys() & there.keys())
        if _compared(wanted[name]) != _compared(there[name])
    ]
    return told


def spec_of(each: Any, version: str, kind: str) -> dict[str, Any]:
    """Return what an object of a kind specifies.

    Raises:
        ValueError, KeyError, TypeError: it is not of that kind, or specifies nothing.
    """
    if (each["apiVersion"], each["kind"]) != (version, kind):
        raise ValueError(f"it is no {kind} of {version}")
    spec = each["spec"]
    if not isinstance(spec, dict):
        raise TypeError("it specifies nothing")
    return spec


def name_of(each: Any) -> str:
    """Return the name of an object; a question mark where it has none."""
    metadata = each.get("metadata") if isinstance(each, dict) else None
    return str(metadata.get("name", "?")) if isinstance(metadata, dict) else "?"


def sharded(
    table: GrantTable, now: float, services: Iterable[str], shards: int
) -> Iterator[tuple[str, int, dict[str, int]]]:
    """Yield for each service and shard the addresses that hold grants, each with its end, Unix seconds.

    Raises:
        TooManyPeers: a shard names more than MAX_PEERS addresses.
    """
    held: dict[tuple[str, int], dict[str, int]] = {(name, shard): {} for name in services for shard in range(shards)}
    for admission, end in admissions_of(table, now).items():
        place = admission.service, int(hashlib.sha256(admission.source.encode()).hexdigest(), 16) % shards
        if place in held:
            held[place][admission.source] = end
    for (name, shard), admitted in held.items():
        if len(admitted) > MAX_PEERS:
            raise TooManyPeers(
                f"service {name}: {len(admitted)} addresses in one object, and {MAX_PEERS} are the most: more shards"
            )
        yield name, shard, admitted


def metadata(service: str, shard: int, namespace: str, ends: Collection[int]) -> dict[str, Any]:
    """Return the metadata of the object for a service: its name, whose it is, and until when it may stand."""
    found: dict[str, Any] = {
        "name": f"ztfm-{label_value(service)}-{shard}",
        "namespace": namespace,
        "labels": dict(OWNED),
    }
    if ends:
        found["annotations"] = {UNTIL: str(min(ends))}
    return found


def label_value(service: str) -> str:
    """Return the value of the label of a service's pods: its name, or where that is no such value, one of its own.

    Kubernetes allows 63 characters and neither colons nor an end that is no letter or digit; names of objects do not
    allow underscores either. Two services never have the same value.
    """
    if len(service) <= 48 and _LABEL_VALUE.fullmatch(service) and not _HASHED.fullmatch(service):
        return service
    readable = re.sub(r"[^a-z0-9]+", "-", service)[:32].strip("-")
    return f"{readable}-{hashlib.sha256(service.encode()).hexdigest()[:12]}"


def cidr(address: str) -> str:
    """Return the block of one address alone."""
    return f"{address}/{128 if family_of(address) == '6' else 32}"


def address_of(block: str) -> str:
    """Return the address of a block of one address alone.

    Raises:
        ValueError: the block has more than one, or is none.
    """
    if not isinstance(block, str):
        raise ValueError("a block is not written as text")
    network = ip_network(block)
    if network.num_addresses != 1:
        raise ValueError(f"block {block} is of more than one address")
    return str(network.network_address)


def _compared(each: Mapping[str, Any]) -> Any:
    """What counts of an object. Servers leave an empty list of rules out, which means the same: nobody is let in."""
    spec = each.get("spec")
    if isinstance(spec, dict):
        return each.get("apiVersion"), each.get("kind"), {k: v for k, v in spec.items() if v is not None and v != []}
    return None


def _let_in(rule: Mapping[str, Any], service: str) -> Iterator[Admission]:
    # An empty list of peers or ports means all of them in Kubernetes.
    if not rule["from"] or not rule["ports"] or rule.keys() != {"from", "ports"}:
        raise ValueError("a rule lets in everybody, or on all ports")
    for peer in rule["from"]:
        if peer.keys() != {"ipBlock"} or peer["ipBlock"].keys() != {"cidr"}:
            raise ValueError("a peer is not an address")
        for port in rule["ports"]:
            if port.keys() != {"protocol", "port"} or type(port["port"]) is not int:
                raise ValueError("a port is not a number with its protocol")
            yield Admission(address_of(peer["ipBlock"]["cidr"]), service, _PROTOCOLS[port["protocol"]], port["port"])


def _closing(namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "ztfm-closed", "namespace": namespace, "labels": dict(OWNED)},
        "spec": {
            "podSelector": {"matchExpressions": [{"key": SERVICE_LABEL, "operator": "Exists"}]},
            "policyTypes": ["Ingress"],
            "ingress": [],
        },
    }
