import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console.building import BUILT, copied, run
from tests.servers.debian import NotInstalled

MAX_COMPRESSED_BYTES = 300_000


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    try:
        yield copied(tmp_path_factory.mktemp("sources"))
    except NotInstalled as missing:
        pytest.skip(str(missing))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_served_is_what_the_sources_build(sources: Path, tmp_path: Path) -> None:
    run(sources, "vite", "build", "--outDir", str(tmp_path / "built"), "--logLevel", "error")
    built, kept = contents(tmp_path / "built"), contents(BUILT)
    assert sorted(built) == sorted(kept), "build the console again: npm run build, in console/"
    assert [name for name in built if built[name] != kept[name]] == []


def test_all_of_it_together_is_small() -> None:
    compressed = sum(len(gzip.compress(text, 9)) for text in contents(BUILT).values())
    assert 10_000 < compressed < MAX_COMPRESSED_BYTES


def test_no_file_names_another_host() -> None:
    allowed = (b"http://www.w3.org/", b"https://github.com/", b"https://lezer.codemirror.net/")
    for name, text in contents(BUILT).items():
        for scheme in (b"http://", b"https://"):
            found = text.split(scheme)[1:]
            hosts = [scheme + part[:60] for part in found if not (scheme + part).startswith(allowed)]
            assert hosts == [], name


def test_types_and_style_hold(sources: Path) -> None:
    run(sources, "tsc", "--noEmit")
    run(sources, "biome", "check", ".")


def test_its_own_tests_pass(sources: Path) -> None:
    assert "passed" in run(sources, "vitest", "run", "--reporter=verbose")
