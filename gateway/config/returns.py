"""Where a call may be given back to: to Studio, or to a host that the operator lists, and to nobody else."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

STUDIO_HOST: Final = "webhooks.twilio.com"
"""Where Twilio Studio takes calls back, with ``FlowEvent=return`` in the URL's query."""
_TLS_PORT: Final = 443


def may_return(url: str, hosts: Collection[str]) -> bool:
    """Whether a call may be given back to this URL: over TLS, and to Studio or one of these hosts."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme == "https"
        and parts.hostname in {STUDIO_HOST, *hosts}
        and parts.username is None
        and port in {None, _TLS_PORT}
        and not any(character.isspace() for character in url)
    )
