from collections.abc import Iterator

import pytest
import structlog

pytest_plugins = ["tests.records", "tests.twilio_api"]


@pytest.fixture
def anyio_backend() -> str:
    """The one event loop that the gateway runs on."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _logs_as_ever() -> Iterator[None]:
    """Undo what a command set up: its logs go where pytest caught them, which is closed by the next test."""
    yield
    if structlog.is_configured():
        structlog.reset_defaults()
