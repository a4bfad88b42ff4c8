"""A bundle has one spelling, and hostile archives are refused within bounds."""

import gzip
import io
import tarfile
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.bundles import BundleRefused, read_archive, write_archive
from controlplane.bundles import archive as archive_module
from controlplane.bundles.archive import MAX_FILES, MAX_PACKED_BYTES, MAX_UNPACKED_BYTES, read_tar, write_tar

NAMES = st.from_regex(r"[a-z.]{1,6}(/[a-z]{1,6}){0,3}", fullmatch=True).filter(
    lambda name: not {"", ".", ".."} & set(name.split("/"))
)
FILES = st.dictionaries(NAMES, st.binary(max_size=1500), max_size=8)
ONE = {"ztfm/a.rego": b"package ztfm.a\n", "data.json": b"{}"}


def refused(body: bytes) -> str:
    with pytest.raises(BundleRefused) as caught:
        read_archive(body)
    return caught.value.reason


def packed(*members: tarfile.TarInfo | tuple[str, bytes], form: int = tarfile.USTAR_FORMAT) -> bytes:
    """An archive as anybody's tar makes it."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=form) as out:
        for member in members:
            if isinstance(member, tuple):
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                out.addfile(info, io.BytesIO(member[1]))
            else:
                out.addfile(member)
        length = out.offset
    return gzip.compress(raw.getvalue()[:length] + b"\0" * 1024)


def special(kind: bytes, name: str = "x", target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@given(FILES)
def test_what_is_written_is_read(files: dict[str, bytes]) -> None:
    assert read_archive(write_archive(files)) == files
    assert list(read_archive(write_archive(files))) == sorted(files)


@given(FILES)
def test_the_same_files_are_the_same_bytes_in_whatever_order(files: dict[str, bytes]) -> None:
    assert write_archive(files) == write_archive(dict(reversed(files.items())))


def test_others_read_what_is_written() -> None:
    with tarfile.open(fileobj=io.BytesIO(write_archive(ONE))) as found:
        items = {item.name: item for item in found}
        assert set(items) == set(ONE)
        assert {(item.mtime, item.uid, item.gid, item.uname, item.mode) for item in items.values()} == {
            (0, 0, 0, "", 0o644)
        }


@given(st.binary(max_size=2000))
def test_whatever_bytes_are_refused_and_never_a_fault(body: bytes) -> None:
    assert refused(body) == "malformed"


@given(st.binary(max_size=4000))
def test_whatever_tar_is_refused_or_is_spelt_in_the_one_way(raw: bytes) -> None:
    try:
        files = read_tar(raw)
    except BundleRefused:
        return
    assert write_tar(files) == raw


@given(FILES.filter(bool), st.data())
def test_a_changed_byte_of_the_tar_is_refused_or_is_another_bundle(
    files: dict[str, bytes], data: st.DataObject
) -> None:
    raw = bytearray(write_tar(files))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    try:
        found = read_tar(bytes(raw))
    except BundleRefused as refusal:
        assert refusal.reason in ("malformed", "too_large")
        return
    assert found != files
    assert write_tar(found) == bytes(raw)


@given(FILES, st.data())
def test_what_is_cut_short_is_refused(files: dict[str, bytes], data: st.DataObject) -> None:
    body = write_archive(files)
    assert refused(body[: data.draw(st.integers(0, len(body) - 1))]) == "malformed"
    raw = write_tar(files)
    assert refused(gzip.compress(raw[: data.draw(st.integers(0, len(raw) - 1))])) == "malformed"


@given(FILES, st.binary(min_size=1, max_size=600))
def test_what_follows_the_end_is_refused(files: dict[str, bytes], more: bytes) -> None:
    body = write_archive(files)
    assert refused(body + more) == "malformed"
    assert refused(body + body) == "malformed"
    assert refused(gzip.compress(write_tar(files) + more)) == "malformed"


@pytest.mark.parametrize(
    "member",
    [
        special(tarfile.SYMTYPE, "link", "/etc/passwd"),
        special(tarfile.LNKTYPE, "link", "data.json"),
        special(tarfile.CHRTYPE, "null"),
        special(tarfile.BLKTYPE, "disk"),
        special(tarfile.FIFOTYPE, "pipe"),
        special(tarfile.DIRTYPE, "ztfm"),
        special(tarfile.CONTTYPE, "contiguous"),
        special(tarfile.AREGTYPE, "old"),
        special(tarfile.GNUTYPE_SPARSE, "sparse"),
    ],
    ids=lambda member: member.name,
)
def test_only_plain_files_are_taken(member: tarfile.TarInfo) -> None:
    assert refused(packed(("data.json", b"{}"), member)) == "malformed"


@pytest.mark.parametrize(
    "name",
    ["/data.json", "../data.json", "a/../b", "./a", "a/./b", "a//b", "a/", "..", ".", "a\\b", "a\nb", "é", "a\x7f"],
)
def test_names_that_lead_elsewhere_are_refused_on_both_sides(name: str) -> None:
    assert refused(packed((name, b"x"))) == "malformed"
    with pytest.raises(BundleRefused, match="malformed"):
        write_archive({name: b"x"})


def test_a_name_that_comes_twice_is_refused() -> None:
    assert refused(packed(("a", b"1"), ("a", b"2"))) == "malformed"
    assert refused(packed(("b", b"1"), ("a", b"2"))) == "malformed"


def test_the_sample_of_those_tests_is_taken_when_nothing_is_wrong() -> None:
    assert read_archive(packed(("a", b"1"), ("b", b"2"))) == {"a": b"1", "b": b"2"}


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_extension_headers_are_refused(form: int) -> None:
    assert refused(packed(("a" * 120, b"1"), form=form)) == "malformed"


@pytest.mark.parametrize(
    "change",
    [
        lambda info: setattr(info, "mtime", 1),
        lambda info: setattr(info, "uid", 1),
        lambda info: setattr(info, "uname", "root"),
        lambda info: setattr(info, "mode", 0o755),
        lambda info: setattr(info, "linkname", "x"),
    ],
)
def test_what_a_header_says_beside_name_and_size_is_refused(change: Callable[[tarfile.TarInfo], None]) -> None:
    info = tarfile.TarInfo("a")
    change(info)
    assert refused(packed(info)) == "malformed"


@pytest.mark.parametrize(
    "size", [b"-0000000001", b"77777777777", b"\x80" + b"\0" * 9 + b"\1", b" " * 10 + b"1", b"\xff" * 11]
)
def test_a_size_that_is_none_is_refused(size: bytes) -> None:
    raw = bytearray(write_tar({"a": b"1"}))
    raw[124:135] = size
    assert refused(gzip.compress(bytes(raw))) == "malformed"


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    real = zlib.decompressobj

    class Counted:
        def __init__(self, wbits: int) -> None:
            self._real = real(wbits)

        def decompress(self, body: bytes, most: int) -> bytes:
            found = self._real.decompress(body, most)
            taken.append(len(found))
            return found

    monkeypatch.setattr(archive_module.zlib, "decompressobj", Counted)
    press = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = b"\0" * (1 << 20)
    bomb = b"".join(press.compress(zeros) for _ in range(2 * MAX_UNPACKED_BYTES >> 20)) + press.flush()
    assert len(bomb) < MAX_PACKED_BYTES
    assert refused(bomb) == "too_large"
    assert taken == [MAX_UNPACKED_BYTES + 1]


def test_more_than_the_bounds_is_refused_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(b"\0" * (MAX_PACKED_BYTES + 1)) == "too_large"
    many = {f"{number:04}": b"" for number in range(MAX_FILES + 1)}
    with pytest.raises(BundleRefused, match="too_large"):
        write_tar(many)
    monkeypatch.setattr(archive_module, "MAX_FILES", MAX_FILES + 1)
    body = write_archive(many)
    assert len(read_archive(body)) == MAX_FILES + 1
    monkeypatch.setattr(archive_module, "MAX_FILES", MAX_FILES)
    assert refused(body) == "too_large"
    monkeypatch.setattr(archive_module, "MAX_UNPACKED_BYTES", 2048)
    with pytest.raises(BundleRefused, match="too_large"):
        write_tar({"a": b"1" * 1000})
    monkeypatch.setattr(archive_module, "MAX_PACKED_BYTES", 50)
    with pytest.raises(BundleRefused, match="too_large"):
        write_archive({"a": b"1"})


def test_long_names_are_kept_or_refused() -> None:
    name = "/".join(["a" * 60] * 3)
    assert read_archive(write_archive({name: b"1"})) == {name: b"1"}
    for long in ("a" * 101, "a" * 201):
        with pytest.raises(BundleRefused, match="malformed"):
            write_archive({long: b"1"})
