# pragma version ==0.4.3
# pragma evm-version paris
"""
@title Identity records of one federation, in the order in which they came
@license Apache-2.0
@notice
    A record is bytes to this contract. What it says, and whether anybody may say so, is proven by the signatures in it
    and judged by readers, all alike. So nothing that is written here can keep anything else from being written: two
    records may claim one place in a subject's history, and the first that its signatures allow is the one that counts.
    Only accounts that the administrator admits may write, which keeps strangers from making every reader read.
@dev
    `place` of a record, one word: the upper 192 bits of a hash over all records up to it, and below them the number of
    its block. With it a reader finds the record's event, and notices one that is missing, altered or out of order.
"""

MOST_BYTES: constant(uint256) = 8224
MOST_AT_ONCE: constant(uint256) = 8
MOST_ASKED: constant(uint256) = 256
MOST_WRITERS: constant(uint256) = 32
BLOCK_BITS: constant(uint256) = 64

event Written:
    number: indexed(uint256)
    subject: indexed(bytes32)
    writer: indexed(address)
    before: uint256
    record: Bytes[MOST_BYTES]

event WriterChanged:
    writer: indexed(address)
    mayWrite: bool

event AdministratorChanged:
    administrator: indexed(address)

federation: public(immutable(String[128]))
administrator: public(address)
proposed: public(address)
mayWrite: public(HashMap[address, bool])
count: public(uint256)

_places: HashMap[uint256, uint256]
_numbers: HashMap[bytes32, uint256]
_lasts: HashMap[bytes32, uint256]


@deploy
def __init__(_federation: String[128], writers: DynArray[address, MOST_WRITERS]):
    """
    @param _federation whose records these are; for people, readers know it from each record
    @param writers accounts that may write from the start
    """
    federation = _federation
    self.administrator = msg.sender
    log AdministratorChanged(administrator=msg.sender)
    for writer: address in writers:
        self.mayWrite[writer] = True
        log WriterChanged(writer=writer, mayWrite=True)
    self._places[0] = self._place(keccak256(concat(convert(chain.id, bytes32), convert(self, bytes32))))


@internal
@view
def _place(over: bytes32) -> uint256:
    return ((convert(over, uint256) >> BLOCK_BITS) << BLOCK_BITS) | block.number


@external
def publish(subjects: DynArray[bytes32, MOST_AT_ONCE], records: DynArray[Bytes[MOST_BYTES], MOST_AT_ONCE]):
    """
    @notice Write records in this order; those that are here already are passed over.
    @param subjects of each record, the Keccak-256 of its name; for finding it, and nobody has to believe it
    @param records as they travel
    """
    assert self.mayWrite[msg.sender], "no writer"
    assert len(subjects) == len(records), "a subject for each record"
    number: uint256 = self.count
    place: uint256 = self._places[number]
    for i: uint256 in range(len(records), bound=MOST_AT_ONCE):
        digest: bytes32 = keccak256(records[i])
        if self._numbers[digest] != 0:
            continue
        number += 1
        before: bytes32 = convert(place >> BLOCK_BITS, bytes32)
        place = self._place(keccak256(concat(before, subjects[i], digest)))
        self._places[number] = place
        self._numbers[digest] = number
        log Written(
            number=number, subject=subjects[i], writer=msg.sender, before=self._lasts[subjects[i]], record=records[i]
        )
        self._lasts[subjects[i]] = number
    self.count = number


@external
@view
def places(first: uint256, amount: uint256) -> DynArray[uint256, MOST_ASKED]:
    """
    @notice Return the places of up to `amount` records from number `first` on; number 0 is the contract itself.
    """
    found: DynArray[uint256, MOST_ASKED] = []
    for i: uint256 in range(min(amount, MOST_ASKED), bound=MOST_ASKED):
        if first + i > self.count:
            break
        found.append(self._places[first + i])
    return found


@external
@view
def numbers(digests: DynArray[bytes32, MOST_ASKED]) -> DynArray[uint256, MOST_ASKED]:
    """
    @notice Return the number of each record by the Keccak-256 of its bytes; 0 for one that is not here.
    """
    found: DynArray[uint256, MOST_ASKED] = []
    for digest: bytes32 in digests:
        found.append(self._numbers[digest])
    return found


@external
@view
def lasts(subjects: DynArray[bytes32, MOST_ASKED]) -> DynArray[uint256, MOST_ASKED]:
    """
    @notice Return the number of the last record of each subject; 0 for one that has none.
    """
    found: DynArray[uint256, MOST_ASKED] = []
    for subject: bytes32 in subjects:
        found.append(self._lasts[subject])
    return found


@external
def admit(writer: address):
    """
    @notice Let an account write.
    """
    assert msg.sender == self.administrator, "no administrator"
    self.mayWrite[writer] = True
    log WriterChanged(writer=writer, mayWrite=True)


@external
def dismiss(writer: address):
    """
    @notice Let an account write no more. What it wrote stays.
    """
    assert msg.sender == self.administrator, "no administrator"
    self.mayWrite[writer] = False
    log WriterChanged(writer=writer, mayWrite=False)


@external
def propose(administrator: address):
    """
    @notice Name who is to be administrator; who is named has to accept, so that a slip of the pen costs nothing.
    """
    assert msg.sender == self.administrator, "no administrator"
    self.proposed = administrator


@external
def accept():
    """
    @notice Be administrator from now on.
    """
    assert msg.sender == self.proposed, "not proposed"
    self.administrator = msg.sender
    self.proposed = empty(address)
    log AdministratorChanged(administrator=msg.sender)
