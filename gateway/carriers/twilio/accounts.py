"""The accounts at Twilio that this gateway answers for: the environment's own, and those of the table of numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urlsplit, urlunsplit

import httpx2

from gateway.carriers.twilio.calls import TwilioCalls
from gateway.carriers.twilio.rest import TwilioRest
from gateway.carriers.twilio.twiml import Links
from gateway.config.numbers import Account


class TwilioAccounts:
    """Knows the tokens of each account, and where its REST requests go.

    Args:
        own: the account of the environment; its sid may be empty where only webhooks are to be verified.
        table: returns the accounts of the current snapshot.
        base_url: where REST requests go, without a region.
        client: shared; its owner closes it.
    """

    def __init__(
        self,
        own: Account,
        table: Callable[[], Iterable[Account]],
        base_url: str,
        client: httpx2.AsyncClient,
        links: Links,
    ) -> None:
        self._own = own
        self._table = table
        self._base_url = base_url
        self._client = client
        self._links = links

    def tokens(self) -> Mapping[str, tuple[str, ...]]:
        """Return the tokens that are good for each account of the table, by its sid."""
        return {account.sid: account.tokens for account in self._table()}

    def calls(self, account_sid: str) -> TwilioCalls | None:
        """Return the API of the calls of an account; the environment's own where the table does not name it."""
        account = next((account for account in self._table() if account.sid == account_sid), self._own)
        if not account.sid or not account.tokens:
            return None
        base = regional(self._base_url, account.region, account.edge)
        return TwilioCalls(TwilioRest(account.sid, account.tokens[0], base, self._client), self._links)


def regional(base_url: str, region: str, edge: str) -> str:
    """Return where the API of a region is entered through an edge: ``api.<edge>.<region>.twilio.com``.

    Twilio needs both, so with one alone the address stays as it is; so does one that is not of the form
    ``api.<domain>``, as of a compatible carrier.
    """
    parts = urlsplit(base_url)
    if not (region and edge) or not parts.netloc.startswith("api."):
        return base_url
    return urlunsplit(parts._replace(netloc=f"api.{edge}.{region}.{parts.netloc.removeprefix('api.')}"))
