"""A short soak really looks at what serves; an hour of it is for ``python -m benchmarks.soak --seconds 3600``."""

from dataclasses import replace

from benchmarks.soak import Look, Plan, soak, summary


async def test_under_a_steady_load_with_idle_connections_nothing_grows_but_what_is_on_record() -> None:
    looks = await soak(Plan(seconds=6.0, rate=15.0, every=1.0, devices=30, idle=200))
    found = summary(looks)
    assert (found["refused"], found["is_flat"]) == (0, True), found
    assert looks[0].files > 200
    assert found["rows_per_request"]["decisions"] == found["rows_per_request"]["log_entries"] == 1.0
    # Records of devices are caught up with meanwhile, one each.
    of_devices = {"identities", "ledger_records"}
    grown = {name for name, share in found["rows_per_request"].items() if share > 0.2}
    assert grown - of_devices == {"decisions", "log_entries"}


def test_what_grows_is_not_flat() -> None:
    look = Look(0.0, 0, 0, 100_000_000, 50_000_000, 40, 8, {"decisions": 5}, 1000, 9.0)
    looks = [replace(look, seconds=float(step), requests=step) for step in range(8)]
    assert summary(looks)["is_flat"]
    leaking = [replace(one, resident_bytes=100_000_000 + 10_000_000 * step) for step, one in enumerate(looks)]
    assert not summary(leaking)["is_flat"]
    assert not summary([replace(one, files=40 + 5 * step) for step, one in enumerate(looks)])["is_flat"]
    assert summary(looks[:3])["resident_ratio"] is None
