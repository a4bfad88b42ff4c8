"""The contract that has the records."""

import pytest
from eth_utils import keccak

from controlplane.identity.ledgers.evm.places import MOST_BYTES, block_of, next_place
from controlplane.identity.ledgers.evm.sending import Sender
from tests.controlplane.identity.ledgers.evm.calling import NOBODY, Called
from tests.controlplane.identity.ledgers.evm.chains import funded
from tests.controlplane.identity.ledgers.evm.ledgers import Deployed

ONE, OTHER = keccak(b"one"), keccak(b"other")


@pytest.fixture
def contract(deployed: Deployed) -> Called:
    return Called(deployed.chain, "records", deployed.terms.contract)


@pytest.fixture
async def writer(deployed: Deployed) -> Sender:
    return await deployed.sender()


async def test_each_record_is_an_event_with_its_bytes_and_a_place_that_commits_to_all_before(
    contract: Called, writer: Sender
) -> None:
    first = await contract.write(writer, "publish", [ONE, OTHER], [b"a", b"b" * 700])
    second = await contract.write(writer, "publish", [ONE], [b"c"])
    logs = [*await contract.events(["Written"], first), *await contract.events(["Written"], second)]
    said = [one.arguments for one in logs]
    assert [one["number"] for one in said] == [1, 2, 3]
    assert [bytes(one["record"]) for one in said] == [b"a", b"b" * 700, b"c"]
    assert [one["before"] for one in said] == [0, 0, 1]
    assert {one["writer"] for one in said} == {writer.address}
    places = await contract.read("places", 0, 10)
    for number, (subject, record) in enumerate([(ONE, b"a"), (OTHER, b"b" * 700), (ONE, b"c")]):
        block = second.block if number == 2 else first.block
        assert places[number + 1] == next_place(places[number], subject, record, block)
        assert block_of(places[number + 1]) == block
    assert await contract.read("lasts", [ONE, OTHER, keccak(b"nobody")]) == [3, 2, 0]
    assert await contract.read("numbers", [keccak(b"a"), keccak(b"x")]) == [1, 0]


async def test_two_contracts_begin_with_different_places(deployed: Deployed, contract: Called) -> None:
    another = await Deployed.on(deployed.chain, {})
    begins = [
        (await Called(deployed.chain, "records", one.terms.contract).read("places", 0, 1))[0] >> 64
        for one in (deployed, another)
    ]
    assert begins[0] != begins[1]


async def test_a_record_that_is_there_is_passed_over_and_its_neighbours_are_not(
    contract: Called, writer: Sender
) -> None:
    await contract.write(writer, "publish", [ONE], [b"a"])
    again = await contract.write(writer, "publish", [ONE, OTHER, ONE], [b"a", b"b", b"b"])
    assert [bytes(one.arguments["record"]) for one in await contract.events(["Written"], again)] == [b"b"]
    assert await contract.read("count") == 2


async def test_a_second_record_for_one_place_is_taken_so_garbage_occupies_nothing(
    contract: Called, writer: Sender
) -> None:
    await contract.write(writer, "publish", [ONE], [b"garbage"])
    await contract.write(writer, "publish", [ONE], [b"honest"])
    assert await contract.read("lasts", [ONE]) == [2]


async def test_a_stranger_writes_nothing(deployed: Deployed, contract: Called) -> None:
    stranger = await funded(deployed.chain)
    await contract.refuses(stranger, "no writer", "publish", [ONE], [b"a"])
    assert await contract.read("count") == 0


async def test_who_was_dismissed_writes_no_more_and_what_they_wrote_stays(
    deployed: Deployed, contract: Called, writer: Sender
) -> None:
    await contract.write(writer, "publish", [ONE], [b"a"])
    await contract.write(deployed.administrator, "dismiss", writer.address)
    await contract.refuses(writer, "no writer", "publish", [ONE], [b"b"])
    assert await contract.read("numbers", [keccak(b"a")]) == [1]


async def test_only_the_administrator_admits_and_dismisses(contract: Called, writer: Sender) -> None:
    for name in ("admit", "dismiss", "propose"):
        await contract.refuses(writer, "no administrator", name, writer.address)


async def test_another_is_administrator_only_after_accepting(
    deployed: Deployed, contract: Called, writer: Sender
) -> None:
    await contract.write(deployed.administrator, "propose", writer.address)
    assert await contract.read("administrator") == deployed.administrator.address
    stranger = await funded(deployed.chain)
    await contract.refuses(stranger, "not proposed", "accept")
    await contract.write(writer, "accept")
    assert await contract.read("administrator") == writer.address
    await contract.refuses(deployed.administrator, "no administrator", "admit", stranger.address)
    await contract.refuses(writer, "not proposed", "accept")
    assert await contract.read("proposed") == NOBODY


async def test_sizes_are_bounded(contract: Called, writer: Sender) -> None:
    await contract.write(writer, "publish", [ONE], [b"x" * MOST_BYTES])
    await contract.refuses(writer, ".", "publish", [ONE], [b"x" * (MOST_BYTES + 1)])
    await contract.refuses(writer, ".", "publish", [ONE] * 9, [bytes([number]) for number in range(9)])
    await contract.refuses(writer, "a subject for each", "publish", [ONE], [b"a", b"b"])


async def test_it_says_whose_records_it_has(contract: Called) -> None:
    assert await contract.read("federation") == "default"
