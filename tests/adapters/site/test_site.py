"""Many ask one site at once, and what dies in between leaves no more than was there."""

import multiprocessing
import os
import threading
from pathlib import Path

import pytest

from adapters.site import Asked, Site
from adapters.site.ledger import BILLION, month_of
from controlplane.contracts.site import UpdateFact
from controlplane.jose.keys import DeviceKey
from tests.adapters.site.houses import MODEL, furnish

KEY = DeviceKey.generate()


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def asked(number: int) -> Asked:
    return Asked(MODEL, "aggregator-1", digest(number), "round-1")


def described(site: Site, number: int, epsilon: float = 2.0) -> None:
    site.describe(UpdateFact(digest=digest(number), norm=1.0, examples=10, epsilon=epsilon))


@pytest.fixture
def place(tmp_path: Path, policy: bytes) -> Path:
    return furnish(tmp_path, policy)


def spent(site: Site) -> int:
    with site.ledger.opened() as entry:
        return entry.spent(MODEL, month_of(0.0)).total


def test_two_devices_do_not_both_take_the_last_of_a_budget(place: Path) -> None:
    sites = [Site(place, DeviceKey.generate()) for _ in range(2)]
    for number in range(8):
        described(sites[0], number)
    allowed: list[int] = []

    def ask(number: int) -> None:
        ruling, charge = sites[number % 2].update_out(asked(number))
        if ruling.allowed:
            allowed.append(number)
            sites[number % 2].settle(charge, is_spent=True)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(allowed) == 4, "four times two of eight"
    assert spent(sites[0]) == 8 * BILLION
    assert sum(site.chain.verify() for site in sites) == 8


def _ask_and_die(place: Path, pem: bytes) -> None:
    site = Site(place, DeviceKey.from_pem(pem))
    described(site, 1)
    ruling, _ = site.update_out(asked(1))
    os._exit(7 if ruling.allowed else 8)


def test_what_was_allowed_before_a_crash_stays_counted_and_on_record(place: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_ask_and_die, args=(place, KEY.to_pem()))
    process.start()
    process.join(60)
    assert process.exitcode == 7
    site = Site(place, KEY)
    assert spent(site) == 2 * BILLION
    assert site.chain.verify() == 1
    # The same update, asked about again, takes no more.
    ruling, charge = site.update_out(asked(1))
    assert ruling.allowed
    site.settle(charge, is_spent=True)
    assert spent(site) == 2 * BILLION


def test_months_begin_anew_and_the_total_does_not(place: Path) -> None:
    now = [1_767_225_599.0]
    site = Site(place, KEY, clock=lambda: now[0])
    for number in range(5):
        described(site, number)
    rulings = [site.update_out(asked(number))[0] for number in range(5)]
    assert [one.allowed for one in rulings] == [True] * 4 + [False]
    now[0] += 1.0
    assert site.update_out(asked(4))[0].allowed
    assert spent(site) == 10 * BILLION


def test_an_engine_that_fails_in_its_own_way_says_no(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the engine is broken")

    monkeypatch.setattr("adapters.site.policy.SitePolicy.ask", broken)
    assert Site(place, KEY).model_in(asked(1)).codes == ["policy_failed"]


def test_a_ledger_that_is_gone_says_no_and_that_is_on_record(place: Path) -> None:
    site = Site(place, KEY)
    (place / "state").mkdir()
    (place / "state" / "ledger.sqlite3").mkdir()
    assert site.model_in(asked(1)).codes == ["ledger_unavailable"]
    assert not site.was_let_in(digest(1))
    (line,) = site.chain.read()
    assert line.decision.reasons == ["ledger_unavailable"]
