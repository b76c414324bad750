"""A call that somebody wants us to take, as any carrier describes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """One delivery of the carrier's "what shall I do with this call?".

    ``vars`` is what the carrier's request says beyond the carrier's own fields, by the names that a line's variables
    have; only those that the line declares count. ``return_to`` is the URL that asks for the call back; it counts only
    where the line allows its host. ``over_sip`` says that the caller's leg is one of SIP.

    ``call_sid`` is the carrier's id of the call, ``line`` the line named in the webhook's path (empty: look up ``to``),
    ``parameters`` everything that the carrier said, as it said it.
    """

    call_sid: str
    account_sid: str
    caller: str
    called: str
    direction: str = "inbound"
    status: str = "ringing"
    line: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    vars: Mapping[str, str] = field(default_factory=dict)
    return_to: str = ""
    over_sip: bool = False
