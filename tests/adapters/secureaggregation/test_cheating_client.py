"""A client that does not keep to the protocol is left out, or named; it makes nothing of a server fall over."""

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from adapters.secureaggregation import Aborted, Client
from adapters.secureaggregation.messages import (
    Advertised,
    Advertisement,
    Masked,
    Revealed,
    SealedShares,
    Share,
    Sharing,
)
from adapters.secureaggregation.sealing import mark, text
from adapters.secureaggregation.signing import is_named_after, sign, verify
from tests.adapters.secureaggregation.parties import Parties, device


def reveal(parties: Parties, *but: str) -> None:
    for name in parties.server.participants("agree"):
        if name not in but:
            assert parties.server.take_revealed(name, parties.clients[name].reveal(parties.agreed)) == ""


def test_a_stranger_cannot_advertise() -> None:
    parties = Parties(6)
    stranger = device(92)
    name = f"dev-{stranger.thumbprint}"
    advertisement = Client(parties.session, name, stranger, parties.names).advertise()
    assert parties.server.take_advertisement(name, advertisement) == "not_signed"
    assert parties.server.take_advertisement(parties.names[0], advertisement) == "not_signed"


def test_one_client_cannot_speak_for_another_or_twice() -> None:
    parties = Parties(6)
    one, other = parties.names[:2]
    advertisement = parties.clients[one].advertise()
    assert parties.server.take_advertisement(other, advertisement) == "not_signed"
    assert parties.server.take_advertisement(one, advertisement) == ""
    assert parties.server.take_advertisement(one, advertisement) == "twice"
    assert parties.server.faulty == {one, other}


@pytest.mark.parametrize("small", [bytes(32), (1).to_bytes(32, "little"), (2**255 - 18).to_bytes(32, "little")])
def test_a_key_that_would_make_everybody_give_up_is_not_taken(small: bytes) -> None:
    parties = Parties(6)
    name, good = parties.names[0], X25519PrivateKey.generate().public_key().public_bytes_raw()
    for mask_key, channel_key in ((small, good), (good, small), (good, good)):
        said = Advertised(
            session=text(parties.session.digest), subject=name, mask_key=text(mask_key), channel_key=text(channel_key)
        )
        token = sign(parties.keys[name], "secagg-keys+jwt", said)
        assert parties.server.take_advertisement(name, Advertisement(token=token)) == "malformed"
    assert parties.server.faulty == {name}


def test_keys_of_another_member_are_not_taken_twice() -> None:
    parties = Parties(6)
    one, other = parties.names[:2]
    advertised = parties.clients[one].advertise()
    assert parties.server.take_advertisement(one, advertised) == ""
    said = verify(advertised.token, "secagg-keys+jwt", Advertised, text(parties.session.digest), is_named_after)
    assert said is not None
    token = sign(parties.keys[other], "secagg-keys+jwt", said.model_copy(update={"subject": other}))
    assert parties.server.take_advertisement(other, Advertisement(token=token)) == "malformed"


def test_messages_that_come_late_or_from_nobody_are_not_taken() -> None:
    parties = Parties(6).advertise()
    last = parties.names[-1]
    sharing = parties.clients[last].share(parties.roster)
    parties.share(last)
    assert parties.server.take_sharing(last, sharing) == "late"
    assert parties.server.take_masked(last, Masked(bytes(4 * parties.length))) == "stranger"
    assert parties.server.take_masked("nobody", Masked(bytes(4 * parties.length))) == "stranger"
    assert parties.server.take_masked(parties.names[0], Masked(b"short")) == "malformed"
    assert parties.server.take_masked(parties.names[0], Masked(bytes(4 * parties.length), (5,))) == "malformed"
    assert parties.server.take_revealed(last, Revealed(seeds=[], keys=[])) == "late"


@pytest.mark.parametrize("places", [[0, 1, 2], [0, 0, 2, 3, 4], [1, 2, 3, 4, 5], [0, 2, 3, 4, 9], [4, 3, 2, 1, 0]])
def test_shares_for_the_wrong_holders_are_not_taken(places: list[int]) -> None:
    parties = Parties(6).advertise()
    name = parties.names[5]
    found = parties.clients[name].share(parties.roster)
    shares = [found.shares[0].model_copy(update={"place": place}) for place in places]
    refusal = parties.server.take_sharing(name, found.model_copy(update={"shares": shares}))
    assert (refusal == "") == (places == [0, 1, 2, 3, 4])
    if 5 in places:
        assert refusal == "malformed"


def garbage(found: Sharing) -> Sharing:
    shares = [
        SealedShares(place=one.place, box=text(bytes(82)), key_mark="A" * 43, seed_mark="A" * 43)
        for one in found.shares
    ]
    return Sharing(shares=shares, seed_mark=found.seed_mark)


def test_whoever_shares_garbage_is_named_once_its_secret_is_needed() -> None:
    parties = Parties(8).advertise()
    liar = parties.names[3]
    for name, client in parties.clients.items():
        found = client.share(parties.roster)
        parties.server.take_sharing(name, garbage(found) if name == liar else found)
    parties.deliveries = parties.server.deliveries()
    parties.mask().agree()
    reveal(parties)
    with pytest.raises(Aborted, match="could not use") as raised:
        parties.server.total()
    assert (raised.value.cause, raised.value.blamed) == ("bad_shares", (liar,))


def test_colluders_that_complain_have_nobody_named_who_kept_to_the_protocol() -> None:
    parties = Parties(8).advertise().share()
    honest, liars, gone = parties.names[0], parties.names[1:3], parties.names[3:6]
    for name, delivery in parties.deliveries.items():
        masked = parties.clients[name].mask(delivery, parties.words(name))
        complaint = (0,) if name in liars else ()
        assert parties.server.take_masked(name, Masked(masked.vector, complaint)) == ""
    parties.survivors = parties.server.survivors()
    parties.agree()
    reveal(parties, *liars, *gone)
    with pytest.raises(Aborted, match=f"of {honest} came.*2 clients could not use theirs") as raised:
        parties.server.total()
    assert raised.value.blamed == ()


def test_whoever_shares_another_secret_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    parties = Parties(8).advertise()
    liar = parties.names[3]
    for name, client in parties.clients.items():
        found = client.share(parties.roster)
        wrong = found.model_copy(update={"seed_mark": mark(b"another")})
        parties.server.take_sharing(name, wrong if name == liar else found)
    parties.deliveries = parties.server.deliveries()
    parties.mask().agree()
    reveal(parties)
    with pytest.raises(Aborted, match="not its secret") as raised:
        parties.server.total()
    assert raised.value.blamed == (liar,)


def test_a_holder_that_reveals_garbage_is_named_and_the_sum_comes_about() -> None:
    parties = Parties(8).advertise().share().mask().agree()
    liar = parties.names[2]
    lies = Revealed(seeds=[Share(owner=0, share=text(b"\x00" + b"x" * 32))], keys=[])
    assert parties.server.take_revealed(liar, lies) == "malformed"
    reveal(parties, liar)
    found = parties.server.total()
    assert found.faulty == (liar,)
    np.testing.assert_array_equal(found.words, parties.expected(parties.names))


def test_what_a_holder_was_not_asked_for_is_not_taken() -> None:
    parties = Parties(8).advertise().share().mask().agree()
    name = parties.names[2]
    found = parties.clients[name].reveal(parties.agreed)
    as_keys = Revealed(seeds=[], keys=found.seeds)
    assert parties.server.take_revealed(name, as_keys) == "malformed"
    assert parties.server.take_revealed(name, found) == "twice"


def test_another_view_of_the_survivors_is_not_taken() -> None:
    parties = Parties(8).advertise().share().mask()
    name = parties.names[0]
    survivors = parties.survivors.model_copy(update={"places": parties.survivors.places[:-1]})
    assert parties.server.take_agreement(name, parties.clients[name].agree(survivors)) == "other_view"


def test_a_client_gives_its_values_only_in_the_size_that_was_agreed_on() -> None:
    parties = Parties(6).advertise().share()
    name = parties.names[0]
    with pytest.raises(ValueError, match="length and size"):
        parties.clients[name].mask(parties.deliveries[name], np.zeros(3, dtype="<u4"))
