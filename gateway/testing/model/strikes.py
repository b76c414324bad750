"""What the faults of a connection do when they strike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.testing.model.faults import Fault
from gateway.testing.model.refusal import Refusal

if TYPE_CHECKING:
    from gateway.testing.model.session import ModelSession

EXPIRY = "Your session hit the maximum duration of 60 minutes."
GOING_AWAY = 1001
HUGE = 9_000_000


async def strike(session: ModelSession, fault: Fault) -> None:
    """Do to the connection of ``session`` what ``fault`` says."""
    link = session.link
    match fault:
        case Fault.EXPIRED | Fault.EXPIRED_SILENTLY:
            if fault is Fault.EXPIRED:
                session.send_error(Refusal(EXPIRY, code="session_expired"), None)
            await link.flush()
            await link.connection.close(GOING_AWAY, EXPIRY)
        case Fault.RESET:
            await link.flush()
            link.reset()
        case Fault.FROZEN:
            await link.flush()
            link.freeze()
        case Fault.INVALID_JSON:
            link.send_text('{"type": "response.output_audio.delta", "delta": ')
        case Fault.NOT_AN_OBJECT:
            link.send_text('["response.output_audio.delta"]')
        case Fault.UNKNOWN_EVENT:
            session.send("response.output_scent.delta", delta="lavender")
        case Fault.HUGE_MESSAGE:
            session.send("response.output_scent.delta", delta="x" * HUGE)
        case _:
            raise ValueError(f"{fault.value} is not a fault of a connection")
