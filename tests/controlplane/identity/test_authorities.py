"""Authorities follow one another: what is to verify is trusted before it is needed, and no longer than it is needed."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import Certificate
from hypothesis import given
from hypothesis import strategies as st

from controlplane.identifiers.spiffe import SpiffeId, TrustDomain
from controlplane.identity.authorities import (
    KEPT_PAST,
    OVERLAP_SECONDS,
    REFRESH_SECONDS,
    RETIRED_SECONDS,
    Authorities,
    NoAuthority,
)
from controlplane.identity.authority import AUTHORITY_DAYS, DAY_SECONDS, SVID_SECONDS, CertificateAuthority

NOW = 1_767_225_600.0
DOMAIN = TrustDomain("homes.example")
ONE = SpiffeId.of(DOMAIN, "device", "dev-1")
PUBLIC = ec.generate_private_key(ec.SECP256R1()).public_key()
LATER = NOW + 10_000.0
TURN = LATER + OVERLAP_SECONDS


@pytest.fixture(scope="module")
def first() -> Authorities:
    return Authorities.create(DOMAIN, NOW)


@pytest.fixture(scope="module")
def both(first: Authorities) -> Authorities:
    return first.rotated(DOMAIN, LATER)


def states(found: Authorities, now: float) -> list[str]:
    return [one.state for one in found.standings(now)]


def signer(found: Authorities, now: float) -> Certificate:
    return found.signing(now).certificate


def test_a_new_authority_is_trusted_before_it_signs(both: Authorities) -> None:
    old, new = both.trusted(LATER)
    assert states(both, LATER) == ["signing", "published"]
    assert signer(both, TURN - 1) == old
    assert signer(both, TURN) == new
    assert OVERLAP_SECONDS >= 2 * REFRESH_SECONDS


def test_an_old_one_is_trusted_until_what_it_signed_last_has_expired(both: Authorities) -> None:
    old, new = both.trusted(TURN)
    last = both.signing(TURN - 1).issue_svid(ONE, PUBLIC, TURN - 1, SVID_SECONDS)
    assert last.not_valid_after_utc.timestamp() < TURN + RETIRED_SECONDS
    assert both.trusted(TURN + RETIRED_SECONDS - 1) == [old, new]
    assert both.trusted(TURN + RETIRED_SECONDS) == [new]


def test_the_key_of_one_that_signs_no_more_is_dropped(both: Authorities) -> None:
    assert both.tidied(TURN - 1).to_pem().count(b"PRIVATE KEY") == 4
    left = both.tidied(TURN)
    assert left.to_pem().count(b"PRIVATE KEY") == 2
    assert left.trusted(TURN) == both.trusted(TURN)
    with pytest.raises(NoAuthority, match="key"):
        left.signing(TURN - 1)


def test_while_one_waits_no_other_is_made(both: Authorities) -> None:
    assert both.rotated(DOMAIN, TURN - 1) is both
    assert len(both.rotated(DOMAIN, TURN).standings(TURN)) == 3


def test_a_replaced_one_is_trusted_no_more_and_the_new_one_signs_at_once(both: Authorities) -> None:
    replaced = both.replaced(DOMAIN, LATER)
    [only] = replaced.trusted(LATER)
    assert only not in both.trusted(LATER)
    assert signer(replaced, LATER) == only
    again = replaced.replaced(DOMAIN, LATER)
    assert both.changed_at(LATER) < replaced.changed_at(LATER) < again.changed_at(LATER)


def test_where_none_signs_any_more_the_next_one_signs_at_once(first: Authorities) -> None:
    end = NOW + AUTHORITY_DAYS * DAY_SECONDS
    with pytest.raises(NoAuthority, match="expired"):
        first.signing(end)
    assert first.trusted(end) == []
    assert states(first.rotated(DOMAIN, end), end) == ["signing"]


def test_they_come_back_from_their_pem(both: Authorities) -> None:
    again = Authorities.from_pem(both.tidied(TURN).to_pem())
    assert states(again, TURN) == ["retired", "signing"]
    assert again.to_pem() == both.tidied(TURN).to_pem()
    assert signer(again, TURN) == signer(both, TURN)


def test_a_file_of_one_authority_as_it_was_before_is_read() -> None:
    only = CertificateAuthority.create(DOMAIN, NOW)
    assert signer(Authorities.from_pem(only.to_pem()), NOW) == only.certificate


def test_what_is_trusted_shows_no_key(both: Authorities) -> None:
    assert "PRIVATE" not in both.trusted_pem(NOW)
    assert both.trusted_pem(TURN).count("BEGIN CERTIFICATE") == 2


def test_what_holds_no_authorities_is_refused(both: Authorities) -> None:
    pem = both.to_pem()
    key, certificate = pem.split(b"-----BEGIN CERT")[0], both.trusted_pem(NOW).encode()
    for odd in (b"", b"x", key, key + key + certificate, certificate + key, certificate[::-1], b"\xff" + certificate):
        with pytest.raises(ValueError):
            Authorities.from_pem(odd)
    swapped = "".join(reversed([f"{part}" for part in _split(both.trusted_pem(TURN))]))
    with pytest.raises(ValueError, match="order"):
        Authorities.from_pem(swapped.encode())


def _split(pem: str) -> list[str]:
    return [f"{part}-----END CERTIFICATE-----\n" for part in pem.split("-----END CERTIFICATE-----\n")[:-1]]


@given(st.lists(st.floats(1.0, 200_000.0), min_size=1, max_size=6), st.integers(0, 50))
def test_at_every_time_what_signs_is_trusted_and_what_is_trusted_changes_with_its_number(
    pauses: list[float], steps: int
) -> None:
    found, now = Authorities.create(DOMAIN, NOW), NOW
    seen = (found.changed_at(now), found.trusted(now))
    for pause in [*pauses, *[3_600.0] * steps]:
        now += pause
        found = found.rotated(DOMAIN, now) if pause != 3_600.0 else found.tidied(now)
        assert signer(found, now) in found.trusted(now)
        number, trusted = found.changed_at(now), found.trusted(now)
        assert number >= seen[0]
        assert (number > seen[0]) or trusted == seen[1]
        seen = (number, trusted)


def test_however_often_they_are_rotated_little_is_kept() -> None:
    found, now = Authorities.create(DOMAIN, NOW), NOW
    for _ in range(KEPT_PAST + 6):
        now += RETIRED_SECONDS + OVERLAP_SECONDS
        found = found.rotated(DOMAIN, now)
    assert len(found.standings(now)) <= KEPT_PAST + 3
    assert found.to_pem().count(b"BEGIN PRIVATE") <= 2
