"""The ways out: a signed webhook, an e-mail, a message of Slack's shape."""

from __future__ import annotations

import hashlib
import hmac
import json
import smtplib
import ssl
import time
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any
from urllib.parse import unquote, urlsplit

import anyio.to_thread
import httpx2

from gateway.store.hooks import Hook

TIMEOUT = 15.0
GONE = frozenset({400, 401, 403, 404, 405, 410, 413, 415, 422})
"""Answers after which another try makes no difference. Others, and silence, may pass."""


class Undelivered(Exception):  # noqa: N818 - it is an outcome
    """It did not arrive; ``hopeless`` says that another try makes no difference."""

    def __init__(self, why: str, *, hopeless: bool = False) -> None:
        super().__init__(why)
        self.hopeless = hopeless


def signature(secret: bytes, body: bytes, at: int) -> str:
    """Return the header ``Gateway-Signature``: the moment, and HMAC-SHA256 over moment, dot and body."""
    signed = hmac.new(secret, str(at).encode() + b"." + body, hashlib.sha256)
    return f"t={at},v1={signed.hexdigest()}"


def hook_secret(secret_key: bytes) -> bytes:
    """Return what webhooks are signed with, as text that their receivers are told (``gateway hooks secret``)."""
    return hmac.new(secret_key, b"outgoing webhooks", hashlib.sha256).hexdigest().encode()


@dataclass(frozen=True, slots=True)
class Sender:
    """Delivers one thing at a time.

    Attributes:
        secret: what webhooks are signed with.
        smtp_url: ``smtp://user:password@host:port`` (STARTTLS where it is offered) or ``smtps://...``.
        mail_from: whom e-mails come from.
    """

    http: httpx2.AsyncClient
    secret: bytes
    smtp_url: str = ""
    mail_from: str = ""

    async def send(self, hook: Hook) -> None:
        """Deliver.

        Raises:
            Undelivered: it did not arrive.
        """
        match hook.kind:
            case "webhook":
                await self._post(hook, hook.body.encode(), self._webhook_headers(hook))
            case "slack":
                text = json.dumps({"text": as_text(json.loads(hook.body))}, ensure_ascii=False).encode()
                await self._post(hook, text, {})
            case "email":
                await self._mail(hook)

    def _webhook_headers(self, hook: Hook) -> dict[str, str]:
        return {
            "Gateway-Event": hook.event,
            "Gateway-Delivery": hook.id,
            "Gateway-Signature": signature(self.secret, hook.body.encode(), int(time.time())),
        }

    async def _post(self, hook: Hook, body: bytes, headers: dict[str, str]) -> None:
        sent = {"Content-Type": "application/json", "User-Agent": "telephony-voice-gateway", **headers}
        try:
            answer = await self.http.post(
                hook.address, content=body, headers=sent, timeout=TIMEOUT, follow_redirects=False
            )
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Undelivered(type(error).__name__) from error
        if not answer.is_success:
            raise Undelivered(f"status {answer.status_code}", hopeless=answer.status_code in GONE)

    async def _mail(self, hook: Hook) -> None:
        if not self.smtp_url:
            raise Undelivered("GATEWAY_SMTP_URL is not set", hopeless=True)
        content = json.loads(hook.body)
        message = EmailMessage()
        message["From"] = self.mail_from or f"gateway@{urlsplit(self.smtp_url).hostname}"
        message["To"] = hook.address
        message["Subject"] = subject_of(content)
        message["Message-ID"] = f"<{hook.id}@gateway>"
        message.set_content(as_text(content))
        try:
            await anyio.to_thread.run_sync(self._transmit, message)
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused) as error:
            raise Undelivered(type(error).__name__, hopeless=True) from error
        except (OSError, smtplib.SMTPException) as error:
            raise Undelivered(type(error).__name__) from error

    def _transmit(self, message: EmailMessage) -> None:
        parts = urlsplit(self.smtp_url)
        host, context = parts.hostname or "localhost", ssl.create_default_context()
        if parts.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, parts.port or 465, timeout=TIMEOUT, context=context)
        else:
            server = smtplib.SMTP(host, parts.port or 587, timeout=TIMEOUT)
        with server:
            server.ehlo()
            if parts.scheme == "smtp" and server.has_extn("starttls"):
                server.starttls(context=context)
                server.ehlo()
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(message)


def subject_of(content: dict[str, Any]) -> str:
    """Return what an e-mail is about, in one line."""
    what = "Message" if content["event"] == "message.taken" else "Call"
    return f"{what} for {content['call']['line']} from {content['call']['caller'] or 'a hidden number'}"


def as_text(content: dict[str, Any]) -> str:
    """Return what is told as people read it."""
    call = content["call"]
    lines = [subject_of(content), ""]
    lines += [f"{name.replace('_', ' ')}: {value}" for name, value in content.get("message", {}).items() if value]
    lines += [
        f"{name.replace('_', ' ')}: {value}" for name, value in (call["outcome"] or {}).items() if value is not None
    ]
    lines += ["", f"{call['began']}, {call['seconds']:.0f} s, {call['result']}: {call['reason']}", f"call {call['id']}"]
    return "\n".join(lines).strip() + "\n"
