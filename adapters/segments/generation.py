"""The number that the kernel gives to each state of its nftables rules: another number, other rules.

One small netlink message (``NFT_MSG_GETGEN`` of ``linux/netfilter/nf_tables.h``), so it can be asked often.
"""

import os
import socket
import struct

_NETLINK_NETFILTER = 12
_NFT_MSG_NEWGEN, _NFT_MSG_GETGEN = 15, 16
_NFNL_SUBSYS_NFTABLES = 10
_NFTA_GEN_ID = 1
_NLM_F_REQUEST = 1
_HEADER, _FAMILY = struct.Struct("=IHHII"), struct.Struct("=BBH")
_ATTRIBUTE = struct.Struct("=HH")


def generation() -> int | None:
    """Return the number of the rules in force in this thread's network namespace; none where it cannot be had.

    That time removes elements of sets does not count.
    """
    kind = _NFNL_SUBSYS_NFTABLES << 8
    length = _HEADER.size + _FAMILY.size
    asked = _HEADER.pack(length, kind | _NFT_MSG_GETGEN, _NLM_F_REQUEST, 1, 0) + _FAMILY.pack(socket.AF_UNSPEC, 0, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER) as spoken:
            spoken.settimeout(1.0)
            spoken.bind((0, 0))
            spoken.sendto(asked, (0, 0))
            answer = spoken.recv(os.sysconf("SC_PAGE_SIZE"))
    except OSError:
        return None
    return _read(answer, kind | _NFT_MSG_NEWGEN)


def _read(answer: bytes, wanted: int) -> int | None:
    if len(answer) < _HEADER.size + _FAMILY.size or _HEADER.unpack_from(answer)[1] != wanted:
        return None
    at = _HEADER.size + _FAMILY.size
    while at + _ATTRIBUTE.size <= len(answer):
        length, kind = _ATTRIBUTE.unpack_from(answer, at)
        if kind & 0x3FFF == _NFTA_GEN_ID and length == _ATTRIBUTE.size + 4:
            (number,) = struct.unpack_from("!I", answer, at + _ATTRIBUTE.size)
            return int(number)
        # Attributes begin at multiples of four.
        at += max(_ATTRIBUTE.size, (length + 3) & ~3)
    return None
