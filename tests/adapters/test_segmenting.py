"""What operators and routers do about segments with the SDK, at a real control plane."""

import threading
from collections.abc import Callable

import pytest

from adapters.errors import Conflict, Forbidden, NotFound
from adapters.member import Member
from controlplane.contracts.access import InferenceSize, Resource
from controlplane.contracts.attachments import AttachmentStated
from controlplane.contracts.capability import CapabilityContext
from controlplane.contracts.segmentation import GrantTable
from tests.support import MODEL, ControlPlane, wait_until

Enrol = Callable[..., Member]
PLACE = AttachmentStated(address="192.168.30.2", site="house-9", device_class="camera")
ASKED = CapabilityContext(inference=InferenceSize(prompt_tokens=1, max_output_tokens=1))


def test_a_device_is_attached_reaches_what_it_may_and_is_cut_for_a_router_that_waits(
    plane: ControlPlane, enrol: Enrol
) -> None:
    operator, router, camera = enrol("operator"), enrol("router"), enrol("consumer")
    kept = operator.plane.attach(camera.id, PLACE)
    assert operator.plane.attachment(camera.id) == kept
    assert kept in operator.plane.attachments().attachments
    camera.plane.capability("inference", Resource(type="model", id=MODEL), "gateway-1", ASKED).require()
    table = router.plane.segment_table()
    assert table is not None
    assert [grant.service for grant in table.grants if grant.device == camera.id] == ["gateway"]
    found = operator.plane.reach({"site": "house-9", "service": "gateway"})
    assert [(one.device, one.reach.reaches) for one in found.reaches] == [(camera.id, True)]
    assert router.plane.segment_table(table.revision) is None
    heard: list[GrantTable | None] = []
    waiting = threading.Thread(target=lambda: heard.append(router.plane.segment_table(table.revision, 20.0)))
    waiting.start()
    wait_until(lambda: plane.services.segmentation.tables.waiting > 0)
    operator.plane.set_status(camera.id, "quarantined", "Odd.")
    waiting.join(15)
    assert heard[0] is not None
    assert camera.id in {cut.device for cut in heard[0].cuts}
    operator.plane.detach(camera.id)
    with pytest.raises(NotFound):
        operator.plane.attachment(camera.id)


def test_what_may_not_be_is_said_in_the_errors_of_the_sdk(enrol: Enrol) -> None:
    operator, router, first, second = enrol("operator"), enrol("router"), enrol("consumer"), enrol("consumer")
    operator.plane.attach(first.id, PLACE.model_copy(update={"address": "192.168.30.3"}))
    with pytest.raises(Conflict):
        operator.plane.attach(second.id, PLACE.model_copy(update={"address": "192.168.30.3"}))
    with pytest.raises(Forbidden):
        router.plane.attach(second.id, PLACE)
    with pytest.raises(Forbidden):
        first.plane.segment_table()
