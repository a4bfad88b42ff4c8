"""A parent and a worker understand one another, and nobody else."""

import asyncio
import socket

import pytest

from controlplane.workers.channel import MAX_MESSAGE_BYTES, Channel


async def test_messages_arrive_whole_and_in_order() -> None:
    one, other = socket.socketpair()
    ours, theirs = await Channel.over(one), await Channel.over(other)
    sent = [{"is": "snapshot", "families": ["x" * size]} for size in (0, 1, 300_000)]

    async def send() -> None:
        for message in sent:
            assert await ours.send(message)
        ours.close()

    sending = asyncio.create_task(send())
    assert [await theirs.receive() for _ in sent] == sent
    assert await theirs.receive() is None, "the other side is gone"
    await sending
    theirs.close()


async def test_whoever_is_gone_is_told_nothing() -> None:
    one, other = socket.socketpair()
    ours = await Channel.over(one)
    other.close()
    assert not all([await ours.send({"is": "ready", "padding": "x" * 100_000}) for _ in range(20)])
    ours.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"\0\0",
        b"\0\0\0\x02{}",
        b"\0\0\0\x02[]",
        b"\0\0\0\x03{]}",
        b'\0\0\0\x08{"is":1}',
        (MAX_MESSAGE_BYTES + 1).to_bytes(4, "big"),
    ],
)
async def test_what_is_no_message_ends_the_conversation(raw: bytes) -> None:
    one, other = socket.socketpair()
    ours = await Channel.over(one)
    other.sendall(raw)
    other.close()
    assert await ours.receive() is None
    ours.close()
