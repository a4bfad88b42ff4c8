"""The EVM ledger on a chain of a test: writers, readers, and those who lie to them."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

from controlplane.contracts.identity import PublicKey
from controlplane.identity.ledgers.evm.counting import Counting
from controlplane.identity.ledgers.evm.deploying import change_writer, deploy_records
from controlplane.identity.ledgers.evm.ledger import EvmLedger, Terms
from controlplane.identity.ledgers.evm.nodes import Node
from controlplane.identity.ledgers.evm.sending import Sender
from tests.controlplane.identity.ledgers.conformance import FEDERATION
from tests.controlplane.identity.ledgers.evm.chains import Chain, Twist, funded, node

CONFIRMATIONS = 3


class Deployed:
    """A contract for records on a chain, and who uses it."""

    def __init__(self, chain: Chain, founders: Mapping[str, PublicKey], administrator: Sender, terms: Terms) -> None:
        self.chain, self.founders, self.administrator, self.terms = chain, dict(founders), administrator, terms
        self._names = (f"node-{number}" for number in itertools.count())

    @classmethod
    async def on(
        cls, chain: Chain, founders: Mapping[str, PublicKey], administrator: Sender | None = None
    ) -> "Deployed":
        if administrator is None:
            administrator = await funded(chain)
        else:
            await chain.fund(administrator.address)
        async with node(chain).asked() as asked:
            made = await deploy_records(asked, administrator, FEDERATION, [administrator.address])
        assert made.contract is not None
        terms = Terms(chain.number, made.contract, CONFIRMATIONS, range_blocks=4, deadline_seconds=20.0)
        return cls(chain, founders, administrator, terms)

    async def sender(self) -> Sender:
        """Return what sends for a new account that may write."""
        sender = await funded(self.chain)
        async with node(self.chain).asked() as asked:
            await change_writer(asked, self.administrator, self.terms.contract, sender.address, "admit")
        return sender

    def node(self, twist: Twist | None = None) -> Node:
        return node(self.chain, twist, next(self._names))

    def ledger(self, *nodes: Node, sender: Sender | None = None, clock: float = 0.0, **terms: object) -> EvmLedger:
        return EvmLedger(
            replace(self.terms, **terms),  # type: ignore[arg-type]
            nodes or [self.node()],
            sender,
            Counting(FEDERATION, self.founders),
            lambda: clock,
        )

    async def writer(self) -> EvmLedger:
        return self.ledger(sender=await self.sender())

    def reader(self, *twists: Twist | None) -> EvmLedger:
        """Return one that reads through these nodes; one that is honest where none is named."""
        wanted: Sequence[Twist | None] = twists or (None,)
        return self.ledger(*(self.node(twist) for twist in wanted))

    async def settle(self) -> None:
        await self.chain.mine(CONFIRMATIONS)
