"""A server that does not keep to the protocol gets nothing out of an honest client."""

from collections.abc import Callable

import numpy as np
import pytest

from adapters.secureaggregation import Aborted, Client, Unsafe
from adapters.secureaggregation.messages import Advertised, Agreed, Delivery, Roster, Survivors
from adapters.secureaggregation.sealing import text
from adapters.secureaggregation.signing import is_named_after, sign, verify
from tests.adapters.secureaggregation.parties import Parties, device


def test_two_sets_of_survivors_bring_to_light_neither() -> None:
    parties = Parties(8).advertise().share().mask()
    half, everybody = parties.names[:4], parties.survivors
    fewer = Survivors(places=everybody.places[:-1])
    words = {name: parties.clients[name].agree(everybody if name in half else fewer) for name in parties.names[:-1]}
    tokens = Agreed(tokens=[one.token for one in words.values()])
    for name in parties.names[:-1]:
        with pytest.raises(Aborted, match="signed the survivors") as raised:
            parties.clients[name].reveal(tokens)
        assert raised.value.cause == "not_agreed"


def test_nobody_reveals_both_secrets_of_one_client() -> None:
    parties = Parties(8).advertise().share().mask(Parties(8).names[0]).agree()
    for name in parties.names[1:]:
        found = parties.clients[name].reveal(parties.agreed)
        seeds, keys = {one.owner for one in found.seeds}, {one.owner for one in found.keys}
        assert keys == {0}
        assert seeds == set(range(1, 8)) - {parties.names.index(name)}
        with pytest.raises(Aborted) as raised:
            parties.clients[name].reveal(parties.agreed)
        assert raised.value.cause == "out_of_order"


def test_signatures_of_another_session_are_no_quorum() -> None:
    earlier = Parties(8, session_id="round-6").advertise().share().mask().agree()
    parties = Parties(8).advertise().share().mask().agree()
    with pytest.raises(Aborted, match="0 clients signed"):
        parties.clients[parties.names[0]].reveal(earlier.agreed)


def test_one_signature_counts_once() -> None:
    parties = Parties(8).advertise().share().mask().agree()
    with pytest.raises(Aborted, match="1 clients signed"):
        parties.clients[parties.names[0]].reveal(Agreed(tokens=parties.agreed.tokens[:1] * 8))


def swapped_for_its_own(parties: Parties) -> Roster:
    token = parties.clients["imposed"].advertise().token
    return Roster(tokens=[token, *parties.roster.tokens[1:]])


def signed_by_another(parties: Parties) -> Roster:
    session = text(parties.session.digest)
    said = verify(parties.roster.tokens[1], "secagg-keys+jwt", Advertised, session, is_named_after)
    assert said is not None
    forged = sign(device(90), "secagg-keys+jwt", said)
    return Roster(tokens=[parties.roster.tokens[0], forged, *parties.roster.tokens[2:]])


def other_session(parties: Parties) -> Roster:
    return Parties(8, session_id="round-6").advertise().roster


def without_me(parties: Parties) -> Roster:
    return Roster(tokens=parties.roster.tokens[:-1])


def not_in_order(parties: Parties) -> Roster:
    return Roster(tokens=parties.roster.tokens[::-1])


def one_twice(parties: Parties) -> Roster:
    return Roster(tokens=[parties.roster.tokens[0], *parties.roster.tokens])


def nearly_nobody(parties: Parties) -> Roster:
    return Roster(tokens=parties.roster.tokens[-2:])


@pytest.mark.parametrize(
    "change",
    [swapped_for_its_own, signed_by_another, other_session, without_me, not_in_order, one_twice, nearly_nobody],
)
def test_a_roster_that_was_changed_gets_no_shares(change: Callable[[Parties], Roster]) -> None:
    parties = Parties(8)
    stranger = device(91)
    parties.clients["imposed"] = Client(parties.session, f"dev-{stranger.thumbprint}", stranger, parties.names)
    imposed = parties.clients.pop("imposed")
    parties.advertise()
    parties.clients["imposed"] = imposed
    last = parties.clients[parties.names[-1]]
    with pytest.raises((Aborted, Unsafe)):
        last.share(change(parties))
    with pytest.raises(Aborted) as raised:
        last.share(parties.roster)
    assert raised.value.cause == "out_of_order"


def test_a_server_that_shows_few_keys_and_those_of_colluders_gets_no_shares() -> None:
    # Two of eight may collude. In a roster of four they would hold as many shares as give a secret.
    parties = Parties(8)
    tokens = [parties.clients[name].advertise().token for name in parties.names]
    with pytest.raises(Unsafe, match="may collude"):
        parties.clients[parties.names[0]].share(Roster(tokens=tokens[:4]))
    shared = parties.clients[parties.names[1]].share(Roster(tokens=tokens[:5]))
    assert len(shared.shares) == 4


def nobody_shared(delivery: Delivery, me: int) -> Delivery:
    return Delivery(sharers=[me], shares=[])


def not_me(delivery: Delivery, me: int) -> Delivery:
    return Delivery(sharers=[one for one in delivery.sharers if one != me], shares=delivery.shares)


def twice(delivery: Delivery, me: int) -> Delivery:
    return Delivery(sharers=delivery.sharers, shares=[*delivery.shares, delivery.shares[0]])


def from_nobody(delivery: Delivery, me: int) -> Delivery:
    return Delivery(sharers=delivery.sharers[:-1], shares=delivery.shares)


def beyond_the_roster(delivery: Delivery, me: int) -> Delivery:
    return Delivery(sharers=[*delivery.sharers, 8], shares=delivery.shares)


@pytest.mark.parametrize("change", [nobody_shared, not_me, twice, from_nobody, beyond_the_roster])
def test_a_delivery_that_was_changed_gets_no_masked_values(change: Callable[[Delivery, int], Delivery]) -> None:
    parties = Parties(8).advertise().share()
    name = parties.names[0]
    with pytest.raises(Aborted):
        parties.clients[name].mask(change(parties.deliveries[name], 0), parties.words(name))


def test_shares_that_were_swapped_or_replayed_cannot_be_used() -> None:
    earlier = Parties(8, session_id="round-6").advertise().share()
    parties = Parties(8).advertise().share()
    name, other = parties.names[0], parties.names[1]
    mine, theirs = parties.deliveries[name].shares, parties.deliveries[other].shares
    swapped = [mine[0].model_copy(update={"box": theirs[1].box}), earlier.deliveries[name].shares[1], *mine[2:]]
    masked = parties.clients[name].mask(Delivery(sharers=list(range(8)), shares=swapped), parties.words(name))
    assert masked.unusable == (1, 2)


@pytest.mark.parametrize("places", [[], [0], [1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 4, 5, 9], [6, 5, 4, 3, 2, 1, 0]])
def test_survivors_that_cannot_be_get_no_signature(places: list[int]) -> None:
    parties = Parties(8).advertise().share().mask()
    with pytest.raises(Aborted):
        parties.clients[parties.names[0]].agree(Survivors(places=places))


def test_whoever_did_not_share_is_no_survivor() -> None:
    parties = Parties(8)
    late = parties.names[7]
    parties.advertise().share(late).mask()
    with pytest.raises(Aborted, match="who shared"):
        parties.clients[parties.names[0]].agree(Survivors(places=list(range(8))))


def test_a_key_that_is_not_known_here_is_not_believed() -> None:
    parties = Parties(8).advertise()
    doubtful = parties.names[3]
    client = Client(
        parties.session,
        parties.names[0],
        parties.keys[parties.names[0]],
        parties.names,
        knows=lambda name, key: is_named_after(name, key) and name != doubtful,
    )
    client.advertise()
    with pytest.raises(Aborted, match="no member signed"):
        client.share(parties.roster)


def test_a_masked_vector_says_nothing_by_itself() -> None:
    parties = Parties(8, length=20_000).advertise().share()
    name = parties.names[0]
    masked = np.frombuffer(parties.clients[name].mask(parties.deliveries[name], parties.words(name)).vector, "<u4")
    counts = np.bincount(masked >> np.uint32(28), minlength=16)
    assert abs(np.corrcoef(masked.astype(float), parties.words(name).astype(float))[0, 1]) < 0.05
    assert float(((counts - 1250) ** 2 / 1250).sum()) < 60.0
