"""The log as a ledger, beyond what every kind does: witnesses, foreign keys, and what a hostile server answers."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiohttp import web

from controlplane.audit.heads import Heads
from controlplane.identity.ledgers.interface import LedgerLied, LedgerUnavailable, RecordRejected
from controlplane.identity.ledgers.keeping import KeptLog
from controlplane.identity.ledgers.log import Cursor, LogReader
from controlplane.identity.ledgers.overhttp import MOST_BYTES, HttpLogLedger, HttpSource
from controlplane.jose.keys import DeviceKey
from controlplane.storage import Store
from controlplane.transparency.checkpoints import Quorum
from controlplane.transparency.keys import new_signer
from controlplane.transparency.notes import Note, Signer
from tests.clocks import Clock
from tests.controlplane.identity.ledgers.log_under_test import Silent
from tests.controlplane.identity.ledgers.people import Organisation, follow_all

LOG = new_signer("ztfm-log-test", "note")


def heads(store: Store, signer: Signer = LOG) -> Heads:
    return Heads(store.log, signer, (), 0, Silent(), Clock())


def kept(store: Store) -> KeptLog:
    return KeptLog(store.identity_log, store.log, heads(store))


async def written(store: Store, many: int = 3) -> None:
    clinic = Organisation("did:web:clinic.example")
    records = [clinic.registers(DeviceKey.generate()).read() for _ in range(many)]
    assert await store.identity_log.publish(records, 1.0) is None
    await heads(store).advance()


async def test_a_head_that_too_few_witnesses_signed_is_not_believed_yet(store: Store) -> None:
    await written(store)
    witness = new_signer("org-b", "cosignature")
    reader = LogReader(kept(store), Quorum(LOG.verifier, (witness.verifier,), 1))
    with pytest.raises(LedgerUnavailable, match="org-b"):
        await reader.follow(None)
    latest = await heads(store).latest()
    assert latest is not None
    note = latest[1]
    cosigned = Note(note.text, (*note.signatures, witness.sign(note.text)))
    await store.log.keep_checkpoint(latest[0].size, 2.0, str(cosigned), 10)
    assert len((await reader.follow(None)).anchored) == 3


async def test_a_head_of_another_key_is_a_lie(store: Store) -> None:
    await written(store)
    other = new_signer("ztfm-log-test", "note")
    with pytest.raises(LedgerLied):
        await LogReader(kept(store), Quorum(other.verifier)).follow(None)


async def test_a_log_that_shrinks_is_a_lie(store: Store) -> None:
    await written(store)
    reader = LogReader(kept(store), Quorum(LOG.verifier))
    _, cursor = await follow_all(reader)
    ahead = Cursor.parse(cursor).model_copy(update={"size": 99}).model_dump_json()
    with pytest.raises(LedgerLied, match="withheld"):
        await reader.follow(ahead)


async def test_a_log_without_a_head_after_one_is_a_lie(store: Store) -> None:
    reader = LogReader(kept(store), Quorum(LOG.verifier))
    with pytest.raises(LedgerLied, match="no head"):
        await reader.follow(Cursor(size=3, root="a" * 64, records=0, through=0).model_dump_json())


async def test_entries_between_records_do_not_disturb_their_order(store: Store) -> None:
    for _ in range(3):
        await written(store, 2)
        await store.log.append("event", [("evt-1", 1.0, b"{}")] * 5)
    await heads(store).advance()
    found, cursor = await follow_all(LogReader(kept(store), Quorum(LOG.verifier)), limit=1)
    assert [one.place for one in found] == [f"entry {place}" for place in (0, 1, 7, 8, 14, 15)]
    assert Cursor.parse(cursor).through == await store.log.size()


async def test_who_reads_from_outside_does_not_write(store: Store) -> None:
    clinic = Organisation("did:web:clinic.example")
    reader = LogReader(kept(store), Quorum(LOG.verifier))
    await reader.publish([])
    with pytest.raises(RecordRejected):
        await reader.publish([clinic.registers(DeviceKey.generate())])


Answers = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def answering(answer: Answers) -> AsyncIterator[HttpLogLedger]:
    async with AsyncExitStack() as stack:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        source = await stack.enter_async_context(HttpSource(f"http://127.0.0.1:{runner.addresses[0][1]}", 2.0))
        yield HttpLogLedger(source, Quorum(LOG.verifier))


async def _garbage(_: web.Request) -> web.StreamResponse:
    return web.Response(text='{"records": "all of them"}')


async def _elsewhere(_: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("http://127.0.0.1:1/")


async def _without_end(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    try:
        for _ in range(MOST_BYTES // 65_536 + 2):
            await response.write(b" " * 65_536)
    except ConnectionError:
        pass
    return response


async def _fault(_: web.Request) -> web.StreamResponse:
    return web.Response(status=503)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (_garbage, LedgerLied),
        (_elsewhere, LedgerUnavailable),
        (_without_end, LedgerUnavailable),
        (_fault, LedgerUnavailable),
    ],
)
async def test_a_hostile_server_makes_no_more_than_an_error(answer: Answers, error: type[Exception]) -> None:
    async with answering(answer) as ledger:
        with pytest.raises(error):
            await ledger.follow(None)


async def test_more_records_than_were_asked_for_are_a_lie(store: Store) -> None:
    await written(store, 5)

    class Generous:
        growth = kept(store).growth

        async def records(self, start: int, limit: int) -> object:
            return await kept(store).records(start, 5)

    with pytest.raises(LedgerLied, match="asked for"):
        await LogReader(Generous(), Quorum(LOG.verifier)).follow(None, 2)  # type: ignore[arg-type]
