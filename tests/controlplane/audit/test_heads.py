"""Heads of a real log in a real store, shown to real witnesses over HTTP; and what they see when it is rewritten."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from sqlalchemy import text

from controlplane.audit.heads import Heads, LogRewritten
from controlplane.audit.witnesses import HttpWitness
from controlplane.storage import Store, open_store
from controlplane.transparency.checkpoints import verify_checkpoint
from controlplane.transparency.entries import commit
from controlplane.transparency.keys import new_signer
from controlplane.transparency.merkle import leaf_hash, verify_inclusion
from controlplane.transparency.notes import Verifier
from controlplane.transparency.proofs import Leaves, LoggedEntries, LoggedEntry
from controlplane.witness.memory import Memory
from controlplane.witness.service import build_witness
from controlplane.witness.watching import Watch
from tests.clocks import Clock

LOG = new_signer("ztfm-log-test", "note")


@dataclass
class Shown:
    """What heads report."""

    heads: list[tuple[int, int]] = field(default_factory=list)
    rewrites: int = 0
    witnesses: list[tuple[str, str]] = field(default_factory=list)

    def head(self, size: int, time: float, witnesses: int, needed: int) -> None:
        self.heads.append((size, witnesses))

    def rewritten(self) -> None:
        self.rewrites += 1

    def witness(self, name: str, result: str) -> None:
        self.witnesses.append((name, result))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_store(f"sqlite+aiosqlite:///{tmp_path / 'ztfm.db'}")
    yield opened
    await opened.close()


async def serve(stack: AsyncExitStack, app: web.Application) -> str:
    runner = web.AppRunner(app)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


def log_app(store: Store) -> web.Application:
    """What a control plane serves of its log to witnesses."""

    async def _leaves(request: web.Request) -> web.Response:
        start, count = int(request.query["start"]), int(request.query["count"])
        found = await store.log.leaves(start, count)
        return web.Response(text=Leaves(start=start, hashes=[one.hex() for one in found]).model_dump_json())

    async def _entries(request: web.Request) -> web.Response:
        found = await store.log.page(int(request.query["start"]), int(request.query["count"]))
        entries = [LoggedEntry(place=one.place, entry=one.entry, is_erased=one.salt is None) for one in found]
        return web.Response(text=LoggedEntries(entries=entries, size=await store.log.size()).model_dump_json())

    app = web.Application()
    app.add_routes([web.get("/v1/log/leaves", _leaves), web.get("/v1/log/entries", _entries)])
    return app


@dataclass
class Organisation:
    """A witness in another organisation."""

    verifier: Verifier
    url: str
    memory: Memory


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


async def organisation(stack: AsyncExitStack, folder: Path, name: str, log_url: str) -> Organisation:
    Memory.create(folder / f"{name}.db")
    memory = Memory(folder / f"{name}.db")
    stack.callback(memory.close)
    signer = new_signer(name, "cosignature")
    watch = Watch(signer, [LOG.verifier], memory, Clock())
    url = await serve(stack, build_witness(watch, memory, {LOG.name: log_url}))
    return Organisation(signer.verifier, url, memory)


async def heads_of(
    stack: AsyncExitStack, store: Store, watching: list[Organisation], needed: int, shown: Shown
) -> Heads:
    witnesses = [await stack.enter_async_context(HttpWitness(one.verifier, one.url)) for one in watching]
    return Heads(store.log, LOG, witnesses, needed, shown, Clock())


async def mirrored(watching: Organisation, count: int) -> None:
    for _ in range(200):
        if watching.memory.mirrored(LOG.name) == count:
            return
        await asyncio.sleep(0.02)
    pytest.fail("the witness does not copy the log")


async def fill(store: Store, count: int, begin: int = 0) -> None:
    numbers = range(begin, begin + count)
    rows = [(f"dec-{number}", 1.0 + number, "inference", "dev-1", "allow", b"%d" % number) for number in numbers]
    await store.decisions.add_many(rows)


async def rewrite(store: Store, place: int) -> None:
    """Change an entry and everything that the log's own keeper could change with it."""
    (kept,) = await store.log.page(place, 1)
    salt = kept.salt or b""
    other = commit(salt, b"another record")
    entry = kept.entry.model_copy(update={"commitment": other.hex()})
    statement = text("UPDATE log_entries SET commitment = :commitment, hash = :hash WHERE place = :place")
    await store._database.change(
        "rewrite", statement, {"commitment": other, "hash": leaf_hash(entry.encoded()), "place": place}
    )
    await store._database.change("rewrite", text("DELETE FROM log_tiles"))


async def test_a_head_is_signed_by_the_log_and_its_witnesses_and_entries_are_proven_in_it(
    store: Store, stack: AsyncExitStack, tmp_path: Path
) -> None:
    url = await serve(stack, log_app(store))
    watching = [await organisation(stack, tmp_path, name, url) for name in ("org-a", "org-b")]
    shown = Shown()
    heads = await heads_of(stack, store, watching, 2, shown)
    for begin, count in ((0, 3), (3, 500)):
        await fill(store, count, begin)
        found = await heads.advance()
        assert found is not None
        seen = verify_checkpoint(str(found[1]), heads.quorum)
        assert (seen.checkpoint.size, seen.witnesses) == (begin + count, ("org-a", "org-b"))
    kept = await store.log.find("dec-77")
    assert kept is not None
    verify_inclusion(kept.hash, kept.place, 503, await heads.include(kept.place, 503), found[0].root)
    assert shown.heads == [(3, 2), (503, 2)]


async def test_what_did_not_grow_is_not_signed_again(store: Store, stack: AsyncExitStack) -> None:
    shown = Shown()
    heads = await heads_of(stack, store, [], 0, shown)
    assert await heads.advance() is None
    await fill(store, 3)
    first, second = await heads.advance(), await heads.advance()
    assert first == second
    assert shown.heads == [(3, 0)]


async def test_a_witness_that_is_away_is_made_up_for_when_it_is_back(
    store: Store, stack: AsyncExitStack, tmp_path: Path
) -> None:
    url = await serve(stack, log_app(store))
    there = await organisation(stack, tmp_path, "org-a", url)
    away = Organisation(new_signer("org-b", "cosignature").verifier, "http://127.0.0.1:9", there.memory)
    shown = Shown()
    heads = await heads_of(stack, store, [there, away], 1, shown)
    await fill(store, 3)
    found = await heads.advance()
    assert found is not None
    assert verify_checkpoint(str(found[1]), heads.quorum).witnesses == ("org-a",)
    assert sorted(shown.witnesses) == [("org-a", "signed"), ("org-b", "unavailable")]
    await heads.advance()
    assert shown.witnesses[2:] == [("org-b", "unavailable")], "who signed is not asked again"


async def test_a_log_that_rewrote_its_history_is_caught_by_each_witness_which_names_the_entry(
    store: Store, stack: AsyncExitStack, tmp_path: Path
) -> None:
    url = await serve(stack, log_app(store))
    watching = [await organisation(stack, tmp_path, name, url) for name in ("org-a", "org-b")]
    await fill(store, 400)
    await (await heads_of(stack, store, watching, 2, Shown())).advance()
    for one in watching:
        await mirrored(one, 400)
    await rewrite(store, 123)
    await store._database.change("forget the head", text("DELETE FROM log_checkpoints"))
    await fill(store, 5, 400)
    shown = Shown()
    heads = await heads_of(stack, store, watching, 2, shown)
    found = await heads.advance()
    assert sorted(shown.witnesses) == [("org-a", "refused"), ("org-b", "refused")]
    assert found is not None
    with pytest.raises(Exception, match="0 of 2 witnesses"):
        verify_checkpoint(str(found[1]), heads.quorum)
    for one in watching:
        finding = one.memory.findings()[0]
        assert (finding.origin, finding.place) == (LOG.name, 123)
        assert finding.what == "entry 123 is not what it was; the log now shows decision dec-123 there"


async def test_the_log_itself_signs_nothing_that_does_not_begin_with_what_it_signed(
    store: Store, stack: AsyncExitStack
) -> None:
    shown = Shown()
    heads = await heads_of(stack, store, [], 0, shown)
    await fill(store, 300)
    await heads.advance()
    await rewrite(store, 7)
    await fill(store, 5, 300)
    with pytest.raises(LogRewritten, match="does not begin with the 300 that were signed"):
        await heads.advance()
    assert shown.rewrites == 1
    assert shown.heads == [(300, 0)]


async def test_nor_where_entries_are_gone(store: Store, stack: AsyncExitStack) -> None:
    shown = Shown()
    heads = await heads_of(stack, store, [], 0, shown)
    await fill(store, 30)
    await heads.advance()
    await store._database.change("lose", text("DELETE FROM log_entries WHERE place >= 20"))
    with pytest.raises(LogRewritten, match="holds 20 entries"):
        await heads.advance()


async def test_a_head_of_another_key_is_not_gone_on_from(store: Store, stack: AsyncExitStack) -> None:
    other = new_signer(LOG.name, "note")
    await fill(store, 3)
    await Heads(store.log, other, [], 0, Shown(), Clock()).advance()
    heads = await heads_of(stack, store, [], 0, Shown())
    with pytest.raises(LogRewritten, match="not signed with this log's key"):
        await heads.advance()


async def test_a_witness_whose_answer_is_another_s_counts_for_nothing(store: Store, stack: AsyncExitStack) -> None:
    async def _signs_wrongly(request: web.Request) -> web.Response:
        note = (await request.text()).partition("\n\n")[2]
        stranger = new_signer("org-a", "cosignature")
        return web.Response(text=stranger.sign(note.rpartition("\n\n")[0] + "\n", 1).line())

    app = web.Application()
    app.add_routes([web.post("/add-checkpoint", _signs_wrongly)])
    liar = Organisation(new_signer("org-a", "cosignature").verifier, await serve(stack, app), None)  # type: ignore[arg-type]
    shown = Shown()
    heads = await heads_of(stack, store, [liar], 1, shown)
    await fill(store, 3)
    await heads.advance()
    assert shown.heads == [(3, 0)]
    assert shown.witnesses == [("org-a", "unavailable")]


async def post(url: str, body: str) -> int:
    async with ClientSession() as session, session.post(f"{url}/add-checkpoint", data=body) as answer:
        return answer.status


async def test_nobody_can_have_an_honest_log_accused(store: Store, stack: AsyncExitStack, tmp_path: Path) -> None:
    watching = await organisation(stack, tmp_path, "org-a", await serve(stack, log_app(store)))
    heads = await heads_of(stack, store, [watching], 1, Shown())
    await fill(store, 20)
    first = await heads.advance()
    await mirrored(watching, 20)
    await fill(store, 20, 20)
    unseen = Heads(store.log, LOG, [], 0, Shown(), Clock())
    second = await unseen.advance()
    assert first is not None
    assert second is not None
    assert await post(watching.url, f"old 0\n\n{first[1]}") == 409
    assert await post(watching.url, f"old 20\n{'A' * 43}=\n\n{second[1]}") == 422
    assert watching.memory.findings() == []
    await fill(store, 1, 40)
    third = await heads.advance()
    assert third is not None
    assert verify_checkpoint(str(third[1]), heads.quorum).witnesses == ("org-a",)


async def test_a_head_that_another_process_was_faster_with_is_no_refusal(
    store: Store, stack: AsyncExitStack, tmp_path: Path
) -> None:
    watching = await organisation(stack, tmp_path, "org-a", await serve(stack, log_app(store)))
    shown = Shown()
    heads, other = [await heads_of(stack, store, [watching], 1, one) for one in (shown, Shown())]
    await fill(store, 5)
    behind = await heads.advance()
    await fill(store, 5, 5)
    await other.advance()
    assert behind is not None
    stale = behind[1].with_signatures([])
    assert await heads._cosigned(type(stale)(stale.text, stale.signatures[:1]), 5) == []
    assert [result for _, result in shown.witnesses] == ["signed", "unavailable"]
    await store._database.change("lose", text("DELETE FROM log_entries WHERE place >= 6"))
    assert await heads._cosigned(type(stale)(stale.text, stale.signatures[:1]), 5) == []
    assert shown.witnesses[-1] == ("org-a", "refused")


async def test_a_tree_that_lacks_a_hash_proves_nothing(store: Store, stack: AsyncExitStack) -> None:
    heads = await heads_of(stack, store, [], 0, Shown())
    await fill(store, 40)
    await heads.advance()
    await store._database.change("lose", text("DELETE FROM log_tiles WHERE place = 0"))
    for proving in (heads.include(30, 40), heads.grew(20, 40)):
        with pytest.raises(LogRewritten, match="lacks"):
            await proving
