from collections.abc import Iterator

import pytest
import structlog

pytest_plugins = ["tests.records", "tests.twilio_api"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take long: of several processes the one that is done first takes the next."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


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
