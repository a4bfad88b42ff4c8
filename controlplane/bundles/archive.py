"""Bundles as files: one spelling of each, and bounds before anything is believed.

A bundle comes from elsewhere and is read before its signature can be: what is read here may be hostile. So there is one
way to pack given files (POSIX ustar, plain files in order of name, no owner, no time), and every other is refused. No
two parsers can then read one archive differently, and a link, a device, a doubled name, an extension header have no way
in.
"""

import re
import tarfile
import zlib
from collections.abc import Mapping

from controlplane.bundles.errors import BundleRefused

MAX_PACKED_BYTES = 16 * 1024 * 1024
"""As large as a bundle may be."""

MAX_UNPACKED_BYTES = 64 * 1024 * 1024
"""As large as its files may be together, headers and padding included."""

MAX_FILES = 4096

_BLOCK = 512
_END = b"\0" * (2 * _BLOCK)
_GZIP = 16 + zlib.MAX_WBITS
_NAME = re.compile(r"[ -\[\]-~]{1,200}")
"""Printable ASCII less the backslash, which some systems take for a slash."""


def write_archive(files: Mapping[str, bytes]) -> bytes:
    """Return files as a ``.tar.gz``: the same files give the same bytes.

    Raises:
        BundleRefused: a name cannot be in a bundle, or there is more than a bundle may hold.
    """
    press = zlib.compressobj(9, zlib.DEFLATED, _GZIP)
    body = press.compress(write_tar(files)) + press.flush()
    if len(body) > MAX_PACKED_BYTES:
        raise BundleRefused("too_large", f"the bundle has {len(body):,} bytes; at most {MAX_PACKED_BYTES:,} are taken")
    return body


def read_archive(body: bytes) -> dict[str, bytes]:
    """Return the files of a bundle by name.

    Raises:
        BundleRefused: ``too_large``; or ``malformed``: not such an archive, or not packed as `write_archive` packs.
    """
    if len(body) > MAX_PACKED_BYTES:
        raise BundleRefused("too_large", f"the bundle has {len(body):,} bytes; at most {MAX_PACKED_BYTES:,} are taken")
    expand = zlib.decompressobj(_GZIP)
    try:
        raw = expand.decompress(body, MAX_UNPACKED_BYTES + 1)
    except zlib.error:
        raise BundleRefused("malformed", "this is no gzip file, or a damaged one") from None
    if len(raw) > MAX_UNPACKED_BYTES:
        raise BundleRefused("too_large", f"unpacked, the bundle has more than {MAX_UNPACKED_BYTES:,} bytes")
    if not expand.eof or expand.unused_data:
        raise BundleRefused("malformed", "the gzip file ends too early, or something follows it")
    return read_tar(raw)


def write_tar(files: Mapping[str, bytes]) -> bytes:
    """Return files as a tar in its one spelling.

    Raises:
        BundleRefused: a name cannot be in a bundle, or there is more than a bundle may hold.
    """
    if len(files) > MAX_FILES:
        raise BundleRefused("too_large", f"there are {len(files):,} files; at most {MAX_FILES:,} are taken")
    parts = []
    for name, content in sorted(files.items()):
        parts += [_header(_checked(name), len(content)), content, b"\0" * (-len(content) % _BLOCK)]
    raw = b"".join((*parts, _END))
    if len(raw) > MAX_UNPACKED_BYTES:
        raise BundleRefused("too_large", f"the files have more than {MAX_UNPACKED_BYTES:,} bytes")
    return raw


def read_tar(raw: bytes) -> dict[str, bytes]:
    """Return the files of a tar that `write_tar` wrote.

    Raises:
        BundleRefused: ``malformed``, or ``too_large``.
    """
    files: dict[str, bytes] = {}
    last, offset = "", 0
    while raw[offset : offset + _BLOCK].strip(b"\0"):
        if len(files) == MAX_FILES:
            raise BundleRefused("too_large", f"there are more than {MAX_FILES:,} files")
        name, size = _read_header(raw[offset : offset + _BLOCK])
        if name <= last:
            raise BundleRefused("malformed", f"{name!r} comes twice, or not in the order of names")
        start, end = offset + _BLOCK, offset + _BLOCK + size
        offset = end + -size % _BLOCK
        if offset > len(raw) or raw[end:offset].strip(b"\0"):
            raise BundleRefused("malformed", f"{name!r} is cut short")
        files[name], last = raw[start:end], name
    if raw[offset:] != _END:
        raise BundleRefused("malformed", "the archive is cut short, or something follows its end")
    return files


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name) or any(part in ("", ".", "..") for part in name.split("/")):
        raise BundleRefused("malformed", f"{name[:256]!r} cannot be the name of a file in a bundle")
    return name


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    try:
        return info.tobuf(tarfile.USTAR_FORMAT)
    except ValueError:
        raise BundleRefused("malformed", f"{name!r}: the name is too long for a bundle") from None


def _read_header(block: bytes) -> tuple[str, int]:
    """Return name and size; the rest of a header must be as it would be written for them."""
    name, prefix = (block[start:end].rstrip(b"\0").decode("ascii", "replace") for start, end in ((0, 100), (345, 500)))
    full = _checked(f"{prefix}/{name}" if prefix else name)
    try:
        size = int(block[124:135], 8)
    except ValueError:
        size = -1
    if block[156:157] != tarfile.REGTYPE:
        raise BundleRefused("malformed", f"{full!r} is a link, a folder or a device; a bundle holds plain files")
    if not 0 <= size <= MAX_UNPACKED_BYTES or block != _header(full, size):
        raise BundleRefused("malformed", f"{full!r} is not packed as `ztfm policy build` packs")
    return full, size
