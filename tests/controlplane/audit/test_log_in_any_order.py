"""The log appended to, signed, proven from, reopened, and written into by its own keeper: that is always noticed."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from controlplane.audit.heads import Heads, LogRewritten
from controlplane.storage import Store, open_store
from controlplane.transparency.checkpoints import Checkpoint
from controlplane.transparency.merkle import ProofFailed, verify_consistency, verify_inclusion
from tests.clocks import Clock
from tests.controlplane.audit.test_heads import LOG, Shown, fill, rewrite
from tests.machines import Machine, few


class Log(Machine):
    """Keeps every head that was signed, as somebody outside would."""

    store: Store
    heads: Heads

    def __init__(self) -> None:
        super().__init__()
        self.size = 0
        self.signed: list[Checkpoint] = []
        self.leaves: list[bytes] = []
        self.shown = Shown()

    @initialize()
    def begin(self) -> None:
        self.store = self.run_now(open_store(f"sqlite+aiosqlite:///{self.folder / 'ztfm.db'}"))
        self.heads = Heads(self.store.log, LOG, [], 0, self.shown, Clock())

    async def close(self) -> None:
        if hasattr(self, "store"):
            await self.store.close()

    @rule(count=st.sampled_from([1, 2, 7, 300]))
    def append(self, count: int) -> None:
        if self.size + count > 900:
            return
        self.run_now(fill(self.store, count, self.size))
        self.size += count
        assert self.run_now(self.store.log.size()) == self.size

    @rule()
    def sign(self) -> None:
        found = self.run_now(self.heads.advance())
        if self.size == 0:
            assert found is None
            return
        assert found is not None
        head = found[0]
        assert head.size == self.size
        begun = self.run_now(self.store.log.leaves(0, head.size))
        assert begun[: len(self.leaves)] == self.leaves
        self.leaves = list(begun)
        if not self.signed or self.signed[-1] != head:
            self.signed.append(head)

    @precondition(lambda self: self.signed)
    @rule(data=st.data())
    def prove(self, data: st.DataObject) -> None:
        head = data.draw(st.sampled_from(self.signed))
        place = data.draw(st.integers(0, head.size - 1))
        proof = self.run_now(self.heads.include(place, head.size))
        verify_inclusion(self.leaves[place], place, head.size, proof, head.root)
        other = self.leaves[(place + 1) % head.size]
        if other != self.leaves[place]:
            with pytest.raises(ProofFailed):
                verify_inclusion(other, place, head.size, proof, head.root)

    @precondition(lambda self: len(self.signed) > 1)
    @rule(data=st.data())
    def grow(self, data: st.DataObject) -> None:
        first, second = data.draw(st.tuples(*2 * [st.sampled_from(self.signed)]))
        earlier, later = sorted((first, second), key=lambda head: head.size)
        proof = self.run_now(self.heads.grew(earlier.size, later.size))
        verify_consistency(earlier.size, later.size, proof, earlier.root, later.root)

    @rule()
    def restart(self) -> None:
        self.run_now(self.store.close())
        self.begin()

    @precondition(lambda self: self.signed)
    @rule(data=st.data())
    def rewritten(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, self.signed[-1].size - 1))
        self.run_now(rewrite(self.store, place))
        noticed = self.shown.rewrites
        with pytest.raises(LogRewritten):
            self.run_now(self.heads.advance())
        assert self.shown.rewrites == noticed + 1
        # Nothing is signed from now on; another log begins.
        self.run_now(self.store.close())
        for file in self.folder.iterdir():
            file.unlink()
        self.size, self.signed, self.leaves = 0, [], []
        self.begin()


def test_the_log_in_any_order() -> None:
    run_state_machine_as_test(Log, settings=few(8, 14))  # type: ignore[no-untyped-call]
