"""``/api/v1``: what programs may read and do, with its OpenAPI description."""

from __future__ import annotations

from collections.abc import Callable

from gateway.carriers.twilio.twiml import Links
from gateway.config.directory import Directory
from gateway.exchange import Exchange
from gateway.store.retention import Shelf
from gateway.web.api.app import Api
from gateway.web.api.calls import CallsApi
from gateway.web.api.lines import LinesApi
from gateway.web.api.live import LiveApi
from gateway.web.api.offers import OffersApi
from gateway.web.api.recordings import RecordingsApi


def create_api(shelf: Shelf, exchange: Exchange, directory: Callable[[], Directory], links: Links) -> Api:
    """Return the API of a node."""
    database = shelf.database
    return Api(
        database,
        [
            *CallsApi(shelf).operations(),
            *LiveApi(database, exchange).operations(),
            *RecordingsApi(database, shelf.recordings).operations(),
            *OffersApi(database, exchange, links).operations(),
            *LinesApi(database, exchange, directory).operations(),
        ],
    )
