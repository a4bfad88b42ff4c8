"""A store that follows the chain stays what the chain says, through a reorganisation."""

import time
from pathlib import Path

from controlplane.identifiers.names import device_id
from controlplane.identity.following import Follower
from controlplane.jose.keys import DeviceKey
from controlplane.storage import open_store
from tests.controlplane.identity.ledgers.conformance import FEDERATION
from tests.controlplane.identity.ledgers.evm.ledgers import Deployed
from tests.controlplane.identity.ledgers.people import Board, Organisation, Uncounted, follow_all, records, rotates


async def test_what_a_store_knows_is_what_the_chain_says_after_a_reorganisation(
    deployed: Deployed, clinic: Organisation, homes: Organisation, tmp_path: Path
) -> None:
    writer, board = await deployed.writer(), Board(clinic, homes)
    keys = [DeviceKey.generate() for _ in range(4)]
    board.take(kept := [clinic.registers(key) for key in keys[:3]])
    await writer.publish(kept)
    await deployed.settle()
    before = await deployed.chain.snapshot()
    # One world in which the first device is revoked, and one in which it rotated and another was registered.
    await writer.publish([clinic.revokes(board.of(keys[0]))])
    await deployed.settle()
    store = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'plane.db'}")
    known = {one.did: one.key.public for one in (clinic, homes)}
    follower = Follower(deployed.reader(), store.ledgers, known, FEDERATION, Uncounted(), time.time)
    names = [device_id(key.thumbprint) for key in keys]
    try:
        while await follower.advance():
            pass
        assert (await follower.known(names))[names[0]].is_revoked
        await deployed.chain.revert(before)
        instead = [rotates(board.of(keys[0]), keys[0], DeviceKey.generate()), clinic.registers(keys[3])]
        board.take(instead)
        await writer.publish(instead)
        await deployed.settle()
        await deployed.chain.mine(5)
        while await follower.advance():
            pass
        assert await follower.known(names) == {name: board.known[name] for name in names}
        assert records((await follow_all(deployed.reader()))[0]) == [*kept, *instead]
        assert [one.record for one in await store.ledgers.records("evm", 0)] == [*kept, *instead]
    finally:
        await store.close()
