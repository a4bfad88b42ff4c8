"""Rules compiled to nginx: for each service a `geo` map from addresses to the end of their grant, and a guard.

nginx itself refuses a grant whose end has come, at each request and without a reload: the map's value is checked by
its `secure_link` module, whose hash says nothing here but is what brings the comparison with the clock. An address that
the map does not name gets an empty value and is refused. A grant that is withdrawn early is gone after a reload; a
request that already runs is not cut by nginx. (ngx_http_geo_module, ngx_http_secure_link_module.)
"""

import base64
import hashlib
import re
from collections.abc import Mapping

from controlplane.contracts.segmentation import GrantTable
from controlplane.segmentation.flows import admissions_of, canonical

MAPS = "ztfm-maps.conf"
"""Name of the file for the `http` block."""

_PLAIN = re.compile(r"[a-z][a-z0-9]{0,40}")
_LINE = re.compile(r"\t(?P<address>[0-9a-f.:]+) (?P<hash>[A-Za-z0-9_-]{22}),(?P<end>[1-9][0-9]*);")


class NotCompiled(Exception):  # noqa: N818 - what is wrong with a text, as callers see it
    """A file is not of the form that we compile."""


def files_of(table: GrantTable, now: float) -> dict[str, str]:
    """Return files by name: the maps for the `http` block, and for each service a guard for its `location` or `server`.

    Args:
        table: the whole of it.
        now: Unix seconds.
    """
    ends: dict[str, dict[str, int]] = {name: {} for name in sorted(table.services)}
    for admission, end in admissions_of(table, now).items():
        # nginx compares whole seconds, and lets pass in the last of them.
        if end - 1 >= now:
            ends[admission.service][admission.source] = end - 1
    maps = "\n".join(_map(name, admitted) for name, admitted in ends.items())
    return {MAPS: maps} | {guard_name(name): _guard(name) for name in ends}


def read_maps(text: str) -> Mapping[str, Mapping[str, int]]:
    """Return from the file of maps the addresses that hold grants, with their ends, by the map's variable.

    Raises:
        NotCompiled: it is not of the form that we compile.
    """
    found: dict[str, dict[str, int]] = {}
    inside: dict[str, int] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        opening = re.fullmatch(r"geo \$(ztfm_[a-z0-9_]+) \{", line)
        entry = _LINE.fullmatch(line)
        if opening and inside is None and opening[1] not in found:
            inside = found[opening[1]] = {}
        elif entry and inside is not None and entry["hash"] == _hash(int(entry["end"])):
            inside[canonical(entry["address"])] = int(entry["end"]) + 1
        elif line == "}" and inside is not None:
            inside = None
        elif line not in {"", '\tdefault "";'}:
            raise NotCompiled(f"line {number} of the maps is not one that we compile")
    if inside is not None:
        raise NotCompiled("the last map of the maps does not end")
    return found


def variable(service: str) -> str:
    """Return the name of a service's map: nginx allows letters, digits and underscores. No two services share one."""
    if _PLAIN.fullmatch(service) and service != "maps":  # whose guard would have the name of the file of maps
        return f"ztfm_{service}"
    readable = re.sub(r"[^a-z0-9]+", "_", service)[:32].strip("_")
    return f"ztfm_{readable}_{hashlib.sha256(service.encode()).hexdigest()[:12]}"


def guard_name(service: str) -> str:
    """Return the name of the file that guards a service's location."""
    return f"{variable(service).replace('_', '-')}.conf"


def _map(service: str, admitted: Mapping[str, int]) -> str:
    entries = [f"\t{address} {_hash(admitted[address])},{admitted[address]};" for address in sorted(admitted)]
    return "\n".join([f"geo ${variable(service)} {{", '\tdefault "";', *entries, "}", ""])


def _guard(service: str) -> str:
    return (
        f"secure_link ${variable(service)};\n"
        'secure_link_md5 "ztfm $secure_link_expires";\n'
        'if ($secure_link != "1") {\n\treturn 403;\n}\n'
    )


def _hash(end: int) -> str:
    """What the module wants before it looks at the end: no secret, and nothing depends on it."""
    digest = hashlib.md5(f"ztfm {end}".encode(), usedforsecurity=False).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
