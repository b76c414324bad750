import pytest

pytest_plugins = ["tests.records"]


@pytest.fixture
def anyio_backend() -> str:
    """The one event loop that the gateway runs on."""
    return "asyncio"
