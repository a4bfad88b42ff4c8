"""A device that was taken over looks around: what can be reached from it, by the rules that a router has."""

from itertools import product

from controlplane.contracts.attachments import AttachmentStated
from controlplane.segmentation import nftables
from controlplane.segmentation.flows import Flow, rules_of
from controlplane.segmentation.reachability import reach
from controlplane.segmentation.rulesets import Ruleset, parse
from evaluation.beyond.asking import asked
from evaluation.beyond.attempt import Attempt, Tally
from evaluation.beyond.sizes import Sizes
from evaluation.beyond.world import Timed, World

PORTS = (22, 80, 445, 8443)
SERVICES = ("10.10.0.10", "10.10.0.20", "10.10.0.30")
GRANTED = Flow("", "10.10.0.20", "tcp", 8443)
"""What a capability for an inference opens from a device's address; everything else is what an attacker tries."""


def lateral_movement(world: World, sizes: Sizes) -> list[Attempt]:
    """Attach devices, let them ask, and look around from one of them."""
    operator, router = world.staff("network-operator", "operator"), world.staff("router", "router")
    addresses = []
    for number in range(sizes.cameras):
        camera = world.enrol(f"camera-{number}", "consumer")
        address = f"192.168.{7 + number // 200}.{2 + number % 200}"
        stated = AttachmentStated(address=address, site="house-7", line="upstairs", device_class="camera")
        operator.plane.attach(camera.id, stated)
        asked(camera).require()
        addresses.append(address)
        taken = camera
    table = router.plane.segment_table()
    if table is None:
        raise LookupError("the control plane gave no table of grants to its router")
    now = world.clock()
    kernel = parse(nftables.installing(rules_of(table, now), now))
    source = addresses[-1]
    granted = GRANTED._replace(source=source)
    others = [*addresses[:-1], *SERVICES]
    flows = [Flow(source, to, "tcp", port) for to, port in product(others, PORTS)]
    flows = [flow for flow in flows if flow != granted]
    timed = Timed()
    reached = sum(timed(reach, kernel, flow, now).reaches for flow in flows)
    flat = sum(reach(Ruleset({}, {}), flow, now).reaches for flow in flows)
    own_way = reach(kernel, granted, now).reaches
    operator.plane.set_status(taken.id, "quarantined", "it looks around")
    after = router.plane.segment_table()
    assert after is not None  # noqa: S101 - without a known revision a table always comes
    closed = parse(nftables.installing(rules_of(after, now), now))
    return [
        Attempt(
            attack="lateral movement",
            has="a device that was taken over, in its place on the network",
            tries=f"connects to every other device and service, on {len(PORTS)} ports",
            protection="micro-segmentation: the ways that capabilities open, compiled for the router",
            on=Tally(len(flows), reached),
            off=Tally(len(flows), flat),
            without="by design: a router that forwards",
            decision_ms=timed.milliseconds,
            noticed="the router drops, and counts",
            figures={
                "the device's own way is open": float(own_way),
                "the same once it is set apart": float(reach(closed, granted, now).reaches),
            },
        )
    ]
