"""The log as a ledger under test: a real store, real heads, real witnesses' quorum, read over real HTTP."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from aiohttp import web

from controlplane.audit.heads import Heads
from controlplane.contracts.identity import PublicKey
from controlplane.identifiers.shown import ShownRecord, ShownRecords
from controlplane.identity.ledgers.interface import Ledger
from controlplane.identity.ledgers.keeping import KeptLog, LogLedger
from controlplane.identity.ledgers.overhttp import HttpLogLedger, HttpSource
from controlplane.storage import Store, open_store
from controlplane.transparency.keys import new_signer
from controlplane.transparency.notes import Signer
from tests.controlplane.identity.ledgers.conformance import Lie

Answering = Callable[[ShownRecords], ShownRecords]


class Silent:
    """Is shown how the log stands, and looks away."""

    def head(self, size: int, time: float, witnesses: int, needed: int) -> None: ...

    def rewritten(self) -> None: ...

    def witness(self, name: str, result: str) -> None: ...


class LogUnderTest:
    def __init__(self, stack: AsyncExitStack, folder: Path, signer: Signer) -> None:
        self._stack, self._folder, self._signer = stack, folder, signer
        self._stores: list[Store] = []
        self._url = ""
        self.database = f"sqlite+aiosqlite:///{folder / 'ztfm.db'}"

    async def open(self) -> None:
        await self.writer()
        self._url = await self._serve(self._stores[0], lambda shown: shown)

    async def writer(self) -> Ledger:
        store = await open_store(self.database)
        self._stack.push_async_callback(store.close)
        self._stores.append(store)
        heads = self._heads(store)
        return LogLedger(store.identity_log, KeptLog(store.identity_log, store.log, heads), heads.quorum, time.time)

    async def reader(self) -> Ledger:
        return await self._reading(self._url)

    async def settle(self) -> None:
        await self._heads(self._stores[0]).advance()

    async def liar(self, lie: Lie, number: int) -> Ledger:
        return await self._reading(await self._serve(self._stores[0], _LIES[lie](number)))

    async def other_view(self) -> Ledger:
        # A copy of the database as it is now, with the log's own key, which goes on by itself.
        other = self._folder / "other"
        other.mkdir()
        store = await open_store(f"sqlite+aiosqlite:///{other / 'ztfm.db'}")
        self._stack.push_async_callback(store.close)
        page = await self._stores[0].log.page(0, 1000)
        kept = await self._stores[0].identity_log.logged(0, 1000, 10**9)
        await store.identity_log.publish([one.record.read() for one in kept], 0.0)
        assert len(page) == len(kept)
        await store.log.append("event", [("evt-elsewhere", 1.0, b"{}")] * 9)
        await self._heads(store).advance()
        return await self._reading(await self._serve(store, lambda shown: shown))

    def _heads(self, store: Store) -> Heads:
        return Heads(store.log, self._signer, (), 0, Silent(), time.time)

    async def _reading(self, url: str) -> Ledger:
        source = await self._stack.enter_async_context(HttpSource(url))
        return HttpLogLedger(source, self._heads(self._stores[0]).quorum)

    async def _serve(self, store: Store, answering: Answering) -> str:
        app = web.Application()
        kept = KeptLog(store.identity_log, store.log, self._heads(store))
        app.add_routes(
            [web.get("/v1/identity/records", _records(kept, answering)), web.get("/v1/log/consistency", _growth(kept))]
        )
        runner = web.AppRunner(app)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"


def _records(kept: KeptLog, answering: Answering) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def _answer(request: web.Request) -> web.Response:
        # A liar has all, and cuts out what was asked for afterwards.
        whole = answering(await kept.records(0, 64))
        start, limit = int(request.query["after"]), int(request.query["limit"])
        some = whole.model_copy(update={"records": whole.records[start : start + limit]})
        return web.Response(text=some.model_dump_json(exclude_none=True))

    return _answer


def _growth(kept: KeptLog) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def _answer(request: web.Request) -> web.Response:
        found = await kept.growth(int(request.query["from"]), int(request.query["to"]))
        return web.Response(text=found.model_dump_json())

    return _answer


def _changed(shown: ShownRecords, records: Sequence[ShownRecord], total: int | None = None) -> ShownRecords:
    # A liar numbers what it shows as it should be.
    numbered = [one.model_copy(update={"number": number}) for number, one in enumerate(records)]
    return shown.model_copy(update={"records": numbered, "total": shown.total if total is None else total})


def _omits(number: int) -> Answering:
    def _lie(shown: ShownRecords) -> ShownRecords:
        return _changed(shown, [*shown.records[:number], *shown.records[number + 1 :]], shown.total - 1)

    return _lie


def _alters(number: int) -> Answering:
    def _lie(shown: ShownRecords) -> ShownRecords:
        records = list(shown.records)
        # Another record, just as well signed.
        records[number] = records[number].model_copy(update={"record": records[number - 1].record})
        return _changed(shown, records)

    return _lie


def _reorders(number: int) -> Answering:
    def _lie(shown: ShownRecords) -> ShownRecords:
        records = list(shown.records)
        records[number : number + 2] = records[number : number + 2][::-1]
        return _changed(shown, records)

    return _lie


_LIES: Mapping[Lie, Callable[[int], Answering]] = {"omits": _omits, "alters": _alters, "reorders": _reorders}


@asynccontextmanager
async def opened(folder: Path, founders: Mapping[str, PublicKey]) -> AsyncIterator[LogUnderTest]:
    async with AsyncExitStack() as stack:
        found = LogUnderTest(stack, folder, new_signer("ztfm-log-test", "note"))
        await found.open()
        yield found
