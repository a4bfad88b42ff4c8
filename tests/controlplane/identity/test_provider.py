"""The keys of a real provider: fetched once, bounded, rotated, and distrusted when they cannot be had."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controlplane.contracts.identity import Person
from controlplane.identity.people import Expected, Unknown
from controlplane.identity.provider import (
    FRESH_SECONDS,
    MAX_DOCUMENT_BYTES,
    PAUSE_SECONDS,
    TRUSTED_SECONDS,
    Discovery,
    KeyFile,
    KeySource,
    People,
    ProviderUnavailable,
)
from tests.controlplane.identity.issuer import AUDIENCE, Issuer, ec_key, serving_issuer


class Timer:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with serving_issuer(issuer=Issuer(keys=[ec_key("one")])) as found:
        yield found


@pytest.fixture
def timer() -> Timer:
    return Timer()


def people(issuer: Issuer, timer: Timer, source: KeySource | None = None, results: list[str] | None = None) -> People:
    import time

    expected = Expected(issuer.url, AUDIENCE, {AUDIENCE}, ("groups",))
    noted = results if results is not None else []
    return People(source or Discovery(issuer.url), expected, time.time, timer, noted.append)


@pytest.fixture
def knowing(issuer: Issuer, timer: Timer) -> Callable[..., People]:
    return lambda **options: people(issuer, timer, **options)


async def test_keys_are_looked_for_once(issuer: Issuer, knowing: Callable[..., People]) -> None:
    found = knowing()
    for _ in range(3):
        assert isinstance(await found.identify(issuer.token()), Person)
    assert issuer.asked == 1
    await found.close()


async def test_those_who_come_together_share_one_look(issuer: Issuer, knowing: Callable[..., People]) -> None:
    found, issuer.delay = knowing(), 0.2
    answers = await asyncio.gather(*(found.identify(issuer.token()) for _ in range(20)))
    assert all(isinstance(answer, Person) for answer in answers)
    assert issuer.asked == 1
    await found.close()


async def test_a_rotated_key_is_found_when_a_token_names_it(
    issuer: Issuer, knowing: Callable[..., People], timer: Timer
) -> None:
    found = knowing()
    old = issuer.token()
    assert isinstance(await found.identify(old), Person)
    issuer.keys = [ec_key("two")]
    assert await found.identify(issuer.token()) == Unknown("person_unknown_key"), "not so soon after the last look"
    timer.now += PAUSE_SECONDS
    assert isinstance(await found.identify(issuer.token()), Person)
    assert await found.identify(old) == Unknown("person_unknown_key"), "the old key is published no more"
    await found.close()


async def test_a_flood_of_unknown_keys_asks_the_provider_no_more_often(
    issuer: Issuer, knowing: Callable[..., People], timer: Timer
) -> None:
    found = knowing()
    await found.identify(issuer.token())
    for number in range(200):
        timer.now += 0.2
        forged = issuer.token(ec_key(f"evil-{number}"))
        assert await found.identify(forged) == Unknown("person_unknown_key")
    assert issuer.asked <= 2 + 40 / PAUSE_SECONDS
    assert isinstance(await found.identify(issuer.token()), Person), "nobody else is locked out"
    await found.close()


async def test_those_who_know_their_key_never_wait(
    issuer: Issuer, knowing: Callable[..., People], timer: Timer
) -> None:
    found = knowing()
    await found.identify(issuer.token())
    issuer.delay = 3.0
    timer.now += FRESH_SECONDS + 1
    unknown = asyncio.create_task(found.identify(issuer.token(ec_key("evil"))))
    await asyncio.sleep(0.05)
    async with asyncio.timeout(0.5):
        assert isinstance(await found.identify(issuer.token()), Person)
    unknown.cancel()
    await found.close()


async def test_a_withdrawn_key_is_forgotten_in_the_background(
    issuer: Issuer, knowing: Callable[..., People], timer: Timer
) -> None:
    found = knowing()
    stolen = issuer.token()
    await found.identify(stolen)
    issuer.keys = [ec_key("two")]
    timer.now += FRESH_SECONDS + 1
    await found.identify(stolen)
    await asyncio.sleep(0.3)
    assert await found.identify(stolen) == Unknown("person_unknown_key")
    await found.close()


async def test_a_provider_that_is_down_lets_nobody_in(timer: Timer) -> None:
    with serving_issuer() as issuer:
        token, found = issuer.token(), people(issuer, timer, results=(results := []))
    for _ in range(3):
        with pytest.raises(ProviderUnavailable):
            await found.identify(token)
    assert results == ["failed"], "it is asked no more often for that"
    await found.close()


async def test_keys_outlive_a_provider_that_is_away_for_an_hour_and_no_longer(timer: Timer) -> None:
    with serving_issuer() as issuer:
        token, found = issuer.token(), people(issuer, timer)
        assert isinstance(await found.identify(token), Person)
    timer.now += TRUSTED_SECONDS - 1
    assert isinstance(await found.identify(token), Person)
    await asyncio.sleep(0.1)
    timer.now += 2
    with pytest.raises(ProviderUnavailable):
        await found.identify(token)
    await found.close()


@pytest.mark.parametrize(
    "broken",
    [
        {"status": 500},
        {"status": 302},
        {"jwks": b"{"},
        {"jwks": b"[]"},
        {"jwks": b'{"keys": [' + b" " * MAX_DOCUMENT_BYTES + b"]}"},
        {"jwks": {"keys": [{"kty": "EC"}] * 100}},
        {"jwks": b"[" * 100_000},
        {"metadata": {"issuer": "https://evil.example"}},
        {"metadata": {"jwks_uri": "http://192.0.2.1/keys"}},
        {"metadata": {"jwks_uri": "file:///etc/passwd"}},
        {"metadata": {"jwks_uri": None}},
        {"metadata": {"jwks_uri": 7}},
    ],
    ids=lambda broken: str(broken)[:40],
)
async def test_what_is_no_answer_of_a_provider_gives_no_keys(
    issuer: Issuer, knowing: Callable[..., People], broken: dict[str, Any]
) -> None:
    for name, value in broken.items():
        setattr(issuer, name, value)
    found = knowing()
    with pytest.raises(ProviderUnavailable):
        await found.identify(issuer.token())
    await found.close()


async def test_a_broken_answer_leaves_the_keys_as_they_are(
    issuer: Issuer, knowing: Callable[..., People], timer: Timer
) -> None:
    found = knowing()
    await found.identify(issuer.token())
    issuer.jwks = b"{"
    timer.now += FRESH_SECONDS + 1
    await found.identify(issuer.token())
    await asyncio.sleep(0.2)
    assert isinstance(await found.identify(issuer.token()), Person)
    await found.close()


async def test_keys_may_lie_in_a_file(issuer: Issuer, timer: Timer, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(issuer.published()))
    found = people(issuer, timer, KeyFile(path))
    assert isinstance(await found.identify(issuer.token()), Person)
    assert issuer.asked == 0
    path.unlink()
    gone = people(issuer, timer, KeyFile(path))
    with pytest.raises(ProviderUnavailable):
        await gone.identify(issuer.token())


async def test_what_is_no_token_asks_nobody(issuer: Issuer, knowing: Callable[..., People]) -> None:
    found = knowing()
    for text in ("", "x", "a.b.c", "." * 10_000):
        assert isinstance(await found.identify(text), Unknown)
    assert issuer.asked == 0
    await found.close()
