"""What a record is on the chain: its bytes in one form, and the contract's state as a model of it has it."""

from random import Random

from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from controlplane.identifiers.records import SignedRecord
from controlplane.identifiers.shown import encode_record
from controlplane.identity.ledgers.evm.places import MOST_BYTES, decode_record, next_place
from controlplane.jose.keys import DeviceKey
from tests.controlplane.identity.ledgers.evm.calling import Called
from tests.controlplane.identity.ledgers.evm.chains import InProcess
from tests.controlplane.identity.ledgers.evm.ledgers import Deployed
from tests.controlplane.identity.ledgers.people import Organisation

SUBJECTS = [keccak(name) for name in (b"one", b"two", b"three")]
TEXT = st.text("abcXYZ019_.-", min_size=1, max_size=40)


@given(statement=TEXT, consent=st.none() | TEXT)
def test_a_record_is_read_as_it_was_written(statement: str, consent: str | None) -> None:
    record = SignedRecord(statement=statement, consent=consent)
    assert decode_record(encode_record(record)) == record


@given(raw=st.binary(max_size=60) | TEXT.map(lambda text: f'{{"statement": "{text}"}}'.encode()))
def test_what_is_written_in_another_form_is_no_record(raw: bytes) -> None:
    assert decode_record(raw) is None


def test_the_longest_record_fits() -> None:
    assert len(encode_record(SignedRecord(statement="a" * 4096, consent="b" * 4096))) <= MOST_BYTES


def test_a_record_with_a_name_twice_or_spaces_is_none() -> None:
    raw = encode_record(Organisation("did:web:clinic.example").registers(DeviceKey.generate()))
    assert decode_record(raw) is not None
    assert decode_record(raw + b" ") is None
    assert decode_record(raw[:-1] + b',"statement":"x"}') is None


async def test_the_contract_s_state_is_that_of_its_model() -> None:
    draw = Random(7)
    drawn, sizes = [b"a", b"b", b"c", b"d" * 99], [0, 1, 8, 3, 2, 8]
    batches = [[(draw.choice(SUBJECTS), draw.choice(drawn)) for _ in range(size)] for size in sizes]
    deployed = await Deployed.on(InProcess(), {})
    contract = Called(deployed.chain, "records", deployed.terms.contract)
    places = list(await contract.read("places", 0, 1))
    numbers: dict[bytes, int] = {}
    lasts = dict.fromkeys(SUBJECTS, 0)
    for batch in batches:
        subjects, records = [one for one, _ in batch], [one for _, one in batch]
        done = await contract.write(deployed.administrator, "publish", subjects, records)
        for subject, record in batch:
            if record not in numbers:
                places.append(next_place(places[-1], subject, record, done.block))
                numbers[record] = lasts[subject] = len(places) - 1
    assert await contract.read("count") == len(places) - 1
    assert await contract.read("places", 0, 256) == places
    assert await contract.read("places", 2, 1) == places[2:3]
    assert await contract.read("lasts", SUBJECTS) == list(lasts.values())
    known = list(numbers)
    assert await contract.read("numbers", [keccak(one) for one in known]) == [numbers[one] for one in known]
