"""The certificate of a host, as a client sees it that trusts what this machine trusts."""

from __future__ import annotations

import socket
import ssl
import time

_DAY = 86_400


def days_left(host: str, port: int) -> int:
    """Return for how many days a host's certificate is still good.

    Raises:
        OSError: it can't be reached, or its certificate is not to be trusted (``ssl.SSLCertVerificationError``).
    """
    context = ssl.create_default_context()
    with (
        socket.create_connection((host, port), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname=host) as tls,
    ):
        certificate = tls.getpeercert() or {}
    ends = ssl.cert_time_to_seconds(str(certificate.get("notAfter", "")))
    return int((ends - time.time()) // _DAY)
