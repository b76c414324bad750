import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The one event loop that the gateway runs on."""
    return "asyncio"
