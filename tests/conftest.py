from collections.abc import Iterator

import pytest
import structlog

pytest_plugins = ["tests.records", "tests.twilio_api"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--alone", choices=["only", "never"], help="of the tests marked alone: run only these, or none")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what another run does, and begin with the files that take long: whoever is done first takes the next."""
    if wanted := config.getoption("alone"):
        alone = [item for item in items if item.get_closest_marker("alone")]
        others = [item for item in items if not item.get_closest_marker("alone")]
        items[:], left_out = (alone, others) if wanted == "only" else (others, alone)
        config.hook.pytest_deselected(items=left_out)
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
