"""Who can be dialled: numbers, blocks of numbers, and ``sip:`` and ``client:`` addresses, with one ``*`` in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, WithJsonSchema

from gateway.config.units import parse_number, wrong

_BLOCK = re.compile(r"\+([1-9]\d{0,13})?\*")
_SIP = re.compile(r"sips?:[^\s@]+@[^\s@/]+")
_CLIENT = re.compile(r"client:[^\s@]+")
_PARTS = re.compile(r"(?P<scheme>sips?):(?P<user>[^@;?]*)(?P<inside>[^@]*)@(?P<host>\[[^\]]*\]|[^:;?]+)", re.IGNORECASE)


def parse_address(value: object) -> object:
    """Return a number in E.164, a block such as ``+4144556*``, a ``sip:`` or ``client:`` address, or ``*`` for any."""
    if not isinstance(value, str) or not ("*" in value or value.startswith(("sip:", "sips:", "client:"))):
        return parse_number(value)
    if value.count("*") > 1:
        raise wrong(f"{value!r} has more than one *", "write one; it stands for anything, also for nothing")
    if value == "*" or _BLOCK.fullmatch(value) or _SIP.fullmatch(value) or _CLIENT.fullmatch(value):
        return value
    if value.startswith(("sip", "client")):
        raise wrong(f"{value!r} is not an address", "write sip:name@host, or client:name")
    raise wrong(f"{value!r} is not a block of numbers", 'write the beginning in E.164 and *: "+4144556*"')


def normal(address: str) -> str:
    """Return an address as it is compared: of SIP addresses the scheme, user and host, without parameters and port."""
    match = _PARTS.match(address)
    if match is None:
        return address
    return f"{match['scheme'].lower()}:{match['user']}@{match['host'].lower()}"


@dataclass(frozen=True, slots=True)
class Pattern:
    """An address, or with ``*`` all that begin and end like it."""

    text: str

    @property
    def is_block(self) -> bool:
        return "*" in self.text

    @property
    def rank(self) -> tuple[int, int]:
        """How closely it says whom it means: by its prefix, then by what follows the ``*``."""
        head, _, tail = self.text.partition("*")
        return len(head), len(tail)

    def matches(self, address: str) -> bool:
        """Say whether a normal address is meant."""
        head, star, tail = self.text.partition("*")
        if not star:
            return address == self.text
        return len(address) >= len(head) + len(tail) and address.startswith(head) and address.endswith(tail)


Address: TypeAlias = Annotated[
    str,
    BeforeValidator(parse_address),
    WithJsonSchema(
        {"type": "string", "pattern": r"^(\+[1-9]\d{6,14}|\*|\+([1-9]\d*)?\*|sips?:[^\s@]+@[^\s@/]+|client:[^\s@]+)$"}
    ),
]
