"""The builtins of Rego that no policy may call, whoever signs it."""

from collections.abc import Mapping
from types import MappingProxyType

_WALL_CLOCK = "reads the wall clock"
_OTHERWISE = "answers differently each time"
_UNBOUNDED = "makes as much as its input says, without bound"
_REFERENCES = "loads files and addresses that a schema refers to"

FORBIDDEN: Mapping[str, str] = MappingProxyType(
    {
        "http.send": "asks the network",
        "net.lookup_ip_addr": "asks the network",
        "opa.runtime": "reads the environment, where secrets are",
        "json.match_schema": _REFERENCES,
        "json.verify_schema": _REFERENCES,
        "time.now_ns": _WALL_CLOCK,
        "io.jwt.decode_verify": _WALL_CLOCK,
        "crypto.x509.parse_and_verify_certificates": _WALL_CLOCK,
        "crypto.x509.parse_and_verify_certificates_with_options": _WALL_CLOCK,
        "rand.intn": _OTHERWISE,
        "uuid.rfc4122": _OTHERWISE,
        "io.jwt.encode_sign": _OTHERWISE,
        "io.jwt.encode_sign_raw": _OTHERWISE,
        "numbers.range": _UNBOUNDED,
        "numbers.range_step": _UNBOUNDED,
        "net.cidr_expand": _UNBOUNDED,
        "bits.lsh": _UNBOUNDED,
        "yaml.unmarshal": "makes more than its input holds, without bound",
    }
)
"""Each with why: the same facts must always be decided alike, soon, and by nothing else."""
