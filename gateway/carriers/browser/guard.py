"""Who may use the softphone while there is no login: this machine, from a page of ours.

The address of the peer alone does not say so. A tunnel or proxy on this machine connects from loopback too, so one that
announces itself is refused; a name that resolves to 127.0.0.1 (DNS rebinding) is refused by its ``Host``; and a page of
somebody else's, open in the same browser, is refused by its ``Origin``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

_FORWARDED: Final = (
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-real-ip",
    "via",
    "cf-connecting-ip",
    "fly-client-ip",
)


def refusal(peer: str, headers: Mapping[str, str], *, acts: bool) -> str:
    """Say why a request or an upgrade is refused, in kebab-case; an empty text where it is not.

    Args:
        peer: the address that it comes from.
        headers: its headers, whatever their case.
        acts: whether it changes or opens something: then it has to come from a page of this very address.
    """
    host, origin = headers.get("host", ""), headers.get("origin")
    if not is_loopback(peer):
        return "not-this-machine"
    if any(name in headers for name in _FORWARDED):
        return "through-a-proxy"
    if not is_loopback(_name(f"//{host}")):
        return "foreign-host"
    if origin is None:
        return "no-origin" if acts else ""
    return "" if origin in {f"http://{host}", f"https://{host}"} else "foreign-origin"


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine and nothing else."""
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
