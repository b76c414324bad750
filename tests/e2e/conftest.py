"""What the end-to-end tests share: folders of lines, and the whole of carrier, gateway and model."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.testing import VOICE_URL, Behaviour, FakeTwilio, GatewayProcess, ScriptedModel

NUMBER = "+15550100"
LINE = """
number: "+15550100"
timezone: Europe/Berlin
greeting: Hello.
instructions: You answer the phone.
"""


@dataclass
class World:
    """A carrier, a gateway process and a scripted model, joined together."""

    twilio: FakeTwilio
    gateway: GatewayProcess
    model: ScriptedModel


Begin = Callable[..., AbstractAsyncContextManager[World]]


@pytest.fixture
def begin(tmp_path: Path) -> Begin:
    """Start a world; its line answers +15550100."""

    @asynccontextmanager
    async def start(
        script: Any = (),
        *,
        lines: Mapping[str, str] | None = None,
        behaviour: Behaviour | None = None,
        environment: Mapping[str, str] | None = None,
        seed: int = 1,
        **model: Any,
    ) -> AsyncIterator[World]:
        folder = tmp_path / "agents_config"
        folder.mkdir(exist_ok=True)
        for name, text in (lines or {"desk.yaml": LINE}).items():
            (folder / name).write_text(text)
        async with (
            ScriptedModel(script, **model) as scripted,
            FakeTwilio(voice_url=VOICE_URL, behaviour=behaviour, seed=seed) as twilio,
            GatewayProcess(folder, twilio=twilio, model_url=scripted.url, environment=environment) as gateway,
        ):
            yield World(twilio, gateway, scripted)

    return start
