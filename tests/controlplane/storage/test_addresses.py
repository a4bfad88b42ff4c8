from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.storage.addresses import create_file, read_address, shown
from controlplane.storage.errors import StoreAddressError

SECRET = "sesame-open-up"


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("sqlite:///state/ztfm.db", "sqlite+aiosqlite"),
        ("sqlite+aiosqlite:////var/lib/ztfm.db", "sqlite+aiosqlite"),
        ("postgresql://u:p@db/ztfm", "postgresql+asyncpg"),
        ("postgresql+asyncpg://u:p@db:5433/ztfm?ssl=require", "postgresql+asyncpg"),
        ("postgresql+asyncpg://u@/ztfm?host=/run/postgresql", "postgresql+asyncpg"),
    ],
)
def test_the_two_known_databases_get_the_driver_that_is_used_here(url: str, driver: str) -> None:
    assert read_address(url).drivername == driver


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ztfm.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///ztfm.db?mode=ro",
        "sqlite://ztfm.db/x",
        "sqlite+pysqlite:///ztfm.db",
        "mysql://u:p@db/ztfm",
        "postgresql+psycopg2://u:p@db/ztfm",
        "postgresql://u:p@db:port/ztfm",
        "postgresql://u:p@db:0/ztfm",
        "postgresql://u:p@db:65536/ztfm",
        "postgresql://u:p@db/ztfm?sslmode=require",
        "postgresql://u:p@db/ztfm?timeout=1",
    ],
)
def test_another_url_is_refused_with_advice(url: str) -> None:
    with pytest.raises(StoreAddressError, match=r"(use|needs|known:|a port is)"):
        read_address(url)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{SECRET}@db:port/ztfm",
        f"postgresql://u@db:{SECRET}/ztfm",
        f"mysql://u:{SECRET}@db/ztfm",
        f"postgresql+other://u:{SECRET}@db/ztfm",
        f"postgresql://u@db/ztfm?password={SECRET}",
        f"postgresql://u:{SECRET}@db/ztfm?sslmode=require",
        f"{SECRET}",
        f"sqlite:///{SECRET}?password={SECRET}",
    ],
)
def test_a_refusal_never_repeats_a_password(url: str) -> None:
    with pytest.raises(StoreAddressError) as refused:
        read_address(url)
    assert SECRET not in f"{refused.value} {refused.value!r}"
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.text(max_size=60), st.from_regex(r"(sqlite|postgresql)(\+\w+)?://.{0,40}", fullmatch=True)))
def test_any_text_is_an_address_or_refused(url: str) -> None:
    try:
        address = read_address(url)
    except StoreAddressError:
        return
    assert address.drivername in {"sqlite+aiosqlite", "postgresql+asyncpg"}


def test_what_people_see_of_an_address_has_no_password_and_no_options() -> None:
    address = read_address(f"postgresql://u:{SECRET}@db/ztfm?passfile=/home/u/{SECRET}")
    assert shown(address) == "postgresql+asyncpg://u:***@db/ztfm"


def test_a_file_is_made_for_its_owner_alone_and_kept_when_it_is_there(tmp_path: Path) -> None:
    path = tmp_path / "state" / "ztfm.db"
    address = read_address(f"sqlite:///{path}")
    create_file(address)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    path.write_bytes(b"kept")
    create_file(address)
    assert path.read_bytes() == b"kept"
