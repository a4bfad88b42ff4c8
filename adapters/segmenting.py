"""Micro-segmentation: where devices are on the network, the table that routers enforce, and what it lets through."""

from collections.abc import Mapping
from urllib.parse import urlencode

from adapters.calls import Calls, segment
from adapters.wire import read_answer, write_body
from controlplane.contracts.attachments import AttachmentsFound, AttachmentStated, ReachFound
from controlplane.contracts.segmentation import Attachment, GrantTable

MAX_TABLE_BYTES = 64 * 1024 * 1024
"""A table of as many grants as it can hold has about 40 MB."""

_PATH = "/v1/segments"


class Segmented(Calls):
    """What is asked about segments; policy says who may what (`policies/ztfm/segmentation`, `policies/ztfm/admin`)."""

    async def attach(self, device: str, stated: AttachmentStated) -> Attachment:
        """Record where a device is, in place of where it was.

        Raises:
            ControlPlaneError: any of `adapters.errors`; `Conflict` where another device has the address, or a service.
        """
        path = f"{_PATH}/attachments/{segment(device)}"
        return read_answer(Attachment, (await self._ask("PUT", path, write_body(stated))).body)

    async def detach(self, device: str) -> None:
        """Forget where a device is: within a second no router lets it through."""
        await self._ask("DELETE", f"{_PATH}/attachments/{segment(device)}", welcome=(204,))

    async def attachment(self, device: str) -> Attachment:
        """Return where a device is."""
        return read_answer(Attachment, await self._get(f"{_PATH}/attachments/{segment(device)}"))

    async def attachments(self, after: str | None = None, limit: int = 1000) -> AttachmentsFound:
        """Return a page of where devices are, in order of device.

        Args:
            after: where the page before ended; none for the first.
            limit: attachments at most.
        """
        asked = {"limit": str(limit)} | ({} if after is None else {"after": after})
        return read_answer(AttachmentsFound, await self._get(f"{_PATH}/attachments?{urlencode(asked)}"))

    async def segment_table(self, known: str | None = None, wait_seconds: float = 0.0) -> GrantTable | None:
        """Return the table of grants; none where it is still the one of revision ``known``.

        Args:
            known: revision of the table that the caller has; none where it has none.
            wait_seconds: for which the answer may be held back while it is still the same, 30 at most.
        """
        wait = 0 if known is None else min(30, max(0, int(wait_seconds)))
        answer = await self._ask(
            "GET",
            f"{_PATH}/table?wait={wait}",
            headers={} if known is None else {"If-None-Match": f'"{known}"'},
            welcome=(200, 304),
            more_seconds=float(wait),
            most_bytes=MAX_TABLE_BYTES,
        )
        return None if answer.status == 304 else read_answer(GrantTable, answer.body)

    async def reach(self, asked: Mapping[str, str | int]) -> ReachFound:
        """Say what the compiled rules let through.

        Args:
            asked: what narrows the question: ``device``, ``source``, ``site``, ``line``, ``device_class``, ``service``,
                ``destination``, ``port`` and ``protocol``, each if it does.
        """
        query = urlencode({name: str(value) for name, value in asked.items()})
        return read_answer(ReachFound, await self._get(f"{_PATH}/reach?{query}" if query else f"{_PATH}/reach"))
