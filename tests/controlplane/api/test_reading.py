"""A body that breaks off is its sender's fault, and nothing of it is read."""

import asyncio

import pytest
from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import TransferEncodingError
from aiohttp.test_utils import make_mocked_request

from controlplane.api.problems import ProblemError
from controlplane.api.reading import read_bytes


@pytest.mark.parametrize(
    "fault",
    [ConnectionResetError("gone"), BrokenPipeError(), TransferEncodingError("zz"), web.RequestPayloadError("x")],
)
async def test_a_body_that_breaks_off_is_a_bad_request_and_not_an_unexpected_fault(fault: Exception) -> None:
    loop = asyncio.get_running_loop()
    connection = BaseProtocol(loop)
    connection.connection_made(asyncio.Transport())
    body = StreamReader(connection, 2**16, loop=loop)
    body.feed_data(b"half of ")
    loop.call_later(0.01, body.set_exception, fault)
    request = make_mocked_request("POST", "/", headers={"Content-Type": "text/plain"}, payload=body)
    with pytest.raises(ProblemError) as refused:
        await read_bytes(request, "text/plain", 1_000, within=5.0)
    assert (refused.value.problem.status, refused.value.headers) == (400, {"Connection": "close"})
