"""Can one address reach another? Answered from compiled rules, or from those that the kernel has, as the kernel would.

Each rule is tried on the packet that opens the connection and on the one that answers it, in the kernel's order. It
is a model of the kernel's forward hook for the expressions that we compile, of packets that come from where routes to
their source lead (`fib` drops others); what it does not know it refuses to answer.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from controlplane.contracts.segmentation import GrantTable, Reach
from controlplane.segmentation.flows import Flow, canonical, family_of, in_force
from controlplane.segmentation.rulesets import PROTOCOLS, Chain, Key, Ruleset

Value = str | int
_PASSING_PORT = 49_152
"""From which a connection is opened: of the ports that clients are given (RFC 6335, section 6)."""

_PROTOCOLS = frozenset(PROTOCOLS.values())


class NotUnderstood(Exception):  # noqa: N818 - a state of the ruleset, as callers see it
    """A rule has an expression that this model does not know, so that there is no answer."""


@dataclass(frozen=True)
class Packet:
    """A packet that is forwarded, with what connection tracking knows of it.

    Attributes:
        flow: of the connection that it belongs to.
        direction: whether it comes from who opened the connection, or answers.
        state: whether packets went in both directions before.
        is_forged: it comes from elsewhere than routes to its source lead.
    """

    flow: Flow
    direction: Literal["original", "reply"] = "original"
    state: Literal["new", "established", "invalid"] = "new"
    is_forged: bool = False

    def fields(self) -> Mapping[str, Value | bool]:
        """Return what rules may ask about it, by the names that rules have for it."""
        ip = "ip6" if family_of(self.flow.source) == "6" else "ip"
        near, far = (self.flow.source, _PASSING_PORT), (self.flow.destination, self.flow.port)
        sender, receiver = (near, far) if self.direction == "original" else (far, near)
        known: dict[str, Value | bool] = {
            f"{ip} saddr": sender[0],
            f"{ip} daddr": receiver[0],
            "th sport": sender[1],
            "th dport": receiver[1],
            "meta l4proto": self.flow.protocol,
            "fib": not self.is_forged,
            "ct state": self.state,
        }
        if self.state != "invalid":
            known |= {
                "ct direction": self.direction,
                "ct protocol": self.flow.protocol,
                f"ct original {ip} saddr": self.flow.source,
                f"ct original {ip} daddr": self.flow.destination,
                "ct original proto-dst": self.flow.port,
            }
        return known


@dataclass(frozen=True)
class Verdict:
    """What becomes of a packet.

    Attributes:
        passes: the verdict.
        because: the rule or the policy that gave it.
        left: seconds until the first of the elements ends that the rule found in sets; none where none ends.
        sets: those in which the rule found the packet.
    """

    passes: bool
    because: str
    left: int | None = None
    sets: tuple[str, ...] = ()


def judge(ruleset: Ruleset, packet: Packet) -> Verdict:
    """Return what becomes of a packet that is forwarded: every chain that hooks in there must let it pass.

    Raises:
        NotUnderstood: a rule that had to be tried is not understood.
    """
    forwarding = [(name, chain) for name, chain in ruleset.chains.items() if chain.base.get("hook") == "forward"]
    verdict = Verdict(passes=True, because="no chain filters what is forwarded")
    try:
        for name, chain in sorted(forwarding, key=lambda each: int(each[1].base["prio"])):
            verdict = _through(name, chain, ruleset, packet)
            if not verdict.passes:
                break
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotUnderstood(f"a rule or a chain is not as nftables writes it: {error}") from None
    return verdict


def reach(ruleset: Ruleset, flow: Flow, now: float, table: GrantTable | None = None) -> Reach:
    """Return whether a connection can be opened, with the ground of the answer.

    Args:
        ruleset: compiled (`rulesets.parse(nftables.installing(...))`) or read back from the kernel.
        flow: what is asked about.
        now: Unix seconds, when the ruleset was read or compiled.
        table: from which it was compiled, to name the grant or the device that is cut off.

    Raises:
        NotUnderstood: the ruleset has a rule that is not understood.
        ValueError: an address is none.
    """
    flow = flow._replace(source=canonical(flow.source), destination=canonical(flow.destination))

    def answer(because: str, *, reaches: bool = False, left: int | None = None) -> Reach:
        until = None if left is None else now + left
        return Reach(**flow._asdict(), reaches=reaches, because=because[:512], until=until)

    if family_of(flow.source) != family_of(flow.destination):
        return answer("an IPv4 and an IPv6 address exchange no packets")
    opening = judge(ruleset, Packet(flow))
    if not opening.passes:
        return answer(_ground(opening, flow, now, table))
    answering = judge(ruleset, Packet(flow, direction="reply", state="established"))
    if not answering.passes:
        return answer(f"answers do not come back: {_ground(answering, flow, now, table)}")
    lefts = [verdict.left for verdict in (opening, answering) if verdict.left is not None]
    return answer(_ground(opening, flow, now, table), reaches=True, left=min(lefts, default=None))


def reaching(ruleset: Ruleset, now: float) -> Iterator[Reach]:
    """Yield everything that can be reached by way of the sets of grants: what a device holds if it is taken over.

    Args:
        ruleset: compiled or read back.
        now: Unix seconds, when it was read or compiled.

    Raises:
        NotUnderstood: the ruleset has a rule that is not understood.
    """
    for name in ("grants4", "grants6"):
        held: Mapping[Key, int | None] = ruleset.sets[name].elements if name in ruleset.sets else {}
        for flow in sorted(map(_flow, held)):
            found = reach(ruleset, flow, now)
            if found.reaches:
                yield found


@dataclass
class _Trial:
    """One rule tried on one packet."""

    ruleset: Ruleset
    fields: Mapping[str, Value | bool]
    sets: list[str] = field(default_factory=list)
    lefts: list[int] = field(default_factory=list)

    def matches(self, match: Mapping[str, Any]) -> bool:
        """Whether the packet has what an expression asks for; a packet that lacks the field never does."""
        asked = self._value(match["left"])
        if None in asked:
            return False
        right, op = match["right"], match["op"]
        if op not in {"==", "in"}:
            raise NotUnderstood(f"a rule compares by `{op}`")
        if isinstance(right, str) and right.startswith("@"):
            return self._is_in(right[1:], asked)
        if isinstance(right, dict) and right.keys() == {"set"}:
            return any(_is_same(asked, each) for each in right["set"])
        return _is_same(asked, right)

    def _value(self, left: Any) -> tuple[Value | bool | None, ...]:
        match left:
            case {"concat": list(parts)}:
                return tuple(value for part in parts for value in self._value(part))
            case {"payload": {"protocol": "icmp" | "icmpv6", "field": "type"}}:
                return (None,)
            case {"payload": {"protocol": "ip" | "ip6" | "th" as protocol, "field": str(name)}}:
                return (self.fields.get(f"{protocol} {name}"),)
            case {"meta": {"key": "l4proto"}}:
                return (self.fields["meta l4proto"],)
            case {"fib": {"result": "oif", "flags": ["saddr", "iif"]}}:
                return (self.fields["fib"],)
            case {"ct": {"key": "state" | "direction" | "protocol" as key, **rest}} if not rest:
                return (self.fields.get(f"ct {key}"),)
            case {"ct": {"key": str(key), "dir": "original"}}:
                return (self.fields.get(f"ct original {key}"),)
        raise NotUnderstood(f"a rule asks for {left}")

    def _is_in(self, name: str, key: tuple[Any, ...]) -> bool:
        held = self.ruleset.sets.get(name)
        if held is None or key not in held.elements:
            return False
        self.sets.append(name)
        left = held.elements[key]
        if left is not None:
            self.lefts.append(left)
        return True


def _is_same(asked: tuple[Value | bool | None, ...], right: Any) -> bool:
    """Whether a value is the one that a rule names; a range, a block or a name for a number is not understood."""
    [value] = asked
    if value in _PROTOCOLS:
        right = PROTOCOLS.get(right, right) if isinstance(right, str | int) else right
    if type(value) is not type(right):
        raise NotUnderstood(f"a rule compares {value} with {right}")
    if isinstance(value, str) and value not in _PROTOCOLS and (":" in value or "." in value):
        try:
            right = canonical(right)
        except ValueError:
            raise NotUnderstood(f"a rule compares an address with {right}") from None
    return bool(value == right)


def _through(name: str, chain: Chain, ruleset: Ruleset, packet: Packet) -> Verdict:
    fields = packet.fields()
    for number, expressions in enumerate(chain.rules, start=1):
        trial = _Trial(ruleset, fields)
        for expression in expressions:
            [(kind, body)] = expression.items()
            if kind == "match":
                if not trial.matches(body):
                    break
            elif kind in {"accept", "drop"}:
                left = min(trial.lefts, default=None)
                return Verdict(kind == "accept", f"rule {number} of chain {name}", left, tuple(trial.sets))
            elif kind != "counter":
                raise NotUnderstood(f"rule {number} of chain {name} has `{kind}`")
    policy = chain.base.get("policy", "accept")
    return Verdict(policy == "accept", f"no rule of chain {name} names it, and its policy is to {policy}")


def _ground(verdict: Verdict, flow: Flow, now: float, table: GrantTable | None) -> str:
    """Why, in the table's words where it has some."""
    if verdict.passes and table is not None:
        ids = sorted(
            grant.id
            for grant in in_force(table, now)
            if grant.source == flow.source and _opens(table, grant.service, flow)
        )
        if ids:
            return f"grant {', '.join(ids)} ({verdict.because})"
    if any(name.startswith("cut") for name in verdict.sets):
        ends = {flow.source, flow.destination}
        cut = sorted(f"{each.device} ({each.reason})" for each in table.cuts if each.address in ends) if table else []
        return f"cut off: {', '.join(cut) or 'one of the two addresses'} ({verdict.because})"
    return verdict.because


def _opens(table: GrantTable, service: str, flow: Flow) -> bool:
    known = table.services[service]
    return flow.destination in known.addresses and flow.protocol == known.protocol and flow.port in known.ports


def _flow(key: Key) -> Flow:
    match key:
        case (str(source), str(destination), "tcp" | "udp" as protocol, int(port)) if 0 < port < 1 << 16:
            with suppress(ValueError):
                return Flow(canonical(source), canonical(destination), protocol, port)
    raise NotUnderstood(f"a set of grants has {' . '.join(map(str, key))}, which is no flow")
