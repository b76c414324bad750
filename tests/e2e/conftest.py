"""What the end-to-end tests share: carrier, gateway process and model, all of them real and joined by sockets."""

import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest

from gateway.testing import (
    PUBLIC_URL,
    VOICE_URL,
    Behaviour,
    DialOutcome,
    FakeTwilio,
    GatewayProcess,
    PhoneCall,
    ScriptedCaller,
    ScriptedModel,
)
from gateway.testing.model import ModelSession, decode_frames, encode_frame
from gateway.testing.twilio.log import Cleared

DESK, REST, HELPED, LIMITED, SPARING = "+15550100", "+15550101", "+15550102", "+15550103", "+15550104"
"""One number for each line below."""
SALES = "+15550199"

LINES = {
    "_defaults.yaml": f"""
timezone: Europe/Berlin
greeting: Hello.
instructions: You answer the phone.
tools: [hang_up, transfer]
transfer: {{sales: {{to: "{SALES}"}}}}
on_failure: {{say: Sorry., then: hang_up}}
""",
    "desk.yaml": f'number: "{DESK}"\n',
    "rest.yaml": f'number: "{REST}"\nend_by: rest\n',
    "helped.yaml": f'number: "{HELPED}"\non_failure: {{say: Please hold., then: "transfer:sales"}}\n',
    "limited.yaml": f'number: "{LIMITED}"\nlimits: {{max_duration: 10s, silence: 5s}}\n',
    "sparing.yaml": f'number: "{SPARING}"\nlimits: {{calls_per_caller: 2}}\n',
}
FAST = Behaviour(speech_ms_per_character=10.0)
"""Delays as they come, but the carrier's own voice speaks fast."""


@dataclass
class World:
    """A carrier, a gateway process and a scripted model, joined together."""

    twilio: FakeTwilio
    gateway: GatewayProcess
    model: ScriptedModel
    _callers: Iterator[int] = field(default_factory=lambda: itertools.count(15551230000))

    async def dial(self, to: str = DESK, *, script: Any = None, **options: Any) -> ScriptedCaller:
        """Call a line from a number that has not called before; the model says ``script``."""
        if script is not None:
            self.model.script = script
        return await self.twilio.dial(to, caller=options.pop("caller", None) or self.new_caller(), **options)

    def new_caller(self) -> str:
        return f"+{next(self._callers)}"

    async def ended(self, caller: ScriptedCaller) -> tuple[str, str]:
        """How the gateway's record of a call closed: result and reason."""
        began = await self._logged("call-began", "call_sid", caller.call.sid)
        entry = await self._logged("call-ended", "call_id", began["call_id"])
        return entry["result"], entry["reason"]

    async def record(self, call: PhoneCall) -> str:
        """Everything in the log of a call that is over."""
        began = await self._logged("call-began", "call_sid", call.sid)
        await self._logged("call-ended", "call_id", began["call_id"])
        with anyio.fail_after(10):
            while True:
                text = "".join(file.read_text() for file in self.gateway.data.rglob(f"{began['call_id']}.jsonl"))
                if text and text.splitlines()[-1].startswith('["z"'):
                    return text  # the last entry of a log is the call's end
                await anyio.sleep(0.05)

    async def _logged(self, event: str, key: str, value: str) -> dict[str, Any]:
        with anyio.fail_after(20):
            while True:
                for entry in self.gateway.logged(event):
                    if entry[key] == value:
                        return entry
                await anyio.sleep(0.05)

    @staticmethod
    def speech(tag: int, seconds: float = 0.8) -> bytes:
        """Sound that counts as speech and says whose it is."""
        return b"".join(encode_frame(number, tag) for number in range(round(seconds * 50)))

    @staticmethod
    def truncation(caller: ScriptedCaller, session: ModelSession, clear: Cleared) -> tuple[float, float]:
        """What the model was told of the item that a clear cut, and what its caller had heard of it: milliseconds."""
        frames = {frame.seq: frame.at / 8 for frame in decode_frames(caller.heard) if frame.tag == session.number}
        first = {item.id: item.content[0].first_frame or 0 for item in session.items if item.role == "assistant"}
        told = {event["item_id"]: event["audio_end_ms"] for event in session.events("conversation.item.truncate")}
        begun = {item: frames[first[item]] for item in told if item in first and first[item] in frames}
        at_ear = max((item for item in begun if begun[item] <= clear.at_ms), key=lambda item: begun[item])
        return told[at_ear], clear.at_ms - begun[at_ear]

    def session_of(self, tag: int) -> ModelSession:
        """The model's (last) session of the caller whose speech carries this tag."""
        return next(
            session
            for session in reversed(self.model.sessions)
            if any(frame.tag == tag for frame in decode_frames(bytes(session.appended)))
        )


Begin = Callable[..., AbstractAsyncContextManager[World]]


@asynccontextmanager
async def _begin(
    folder: Path,
    script: Any = (),
    *,
    lines: Mapping[str, str] = LINES,
    behaviour: Behaviour | None = None,
    environment: Mapping[str, str] | None = None,
    seed: int = 1,
    **model: Any,
) -> AsyncIterator[World]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in lines.items():
        (folder / name).write_text(text)
    dials = {SALES: DialOutcome("completed", talks=0.2)}
    async with (
        ScriptedModel(script, **model) as scripted,
        FakeTwilio(voice_url=VOICE_URL, behaviour=behaviour, seed=seed, dials=dials) as twilio,
        GatewayProcess(folder, twilio=twilio, model_url=scripted.url, environment=environment) as gateway,
    ):
        if lines is LINES:
            add_numbers(twilio)
        yield World(twilio, gateway, scripted)


def add_numbers(twilio: FakeTwilio) -> None:
    """Configure the numbers of our lines as an operator does: with a fallback and a status callback."""
    for number in (DESK, REST, HELPED, LIMITED, SPARING):
        twilio.add_number(
            number,
            VOICE_URL,
            voice_fallback_url=PUBLIC_URL + "/twilio/fallback",
            status_callback=PUBLIC_URL + "/twilio/status",
            status_events=("initiated", "ringing", "answered", "completed"),
        )


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """One event loop for all of these tests, so that they can share a gateway that takes seconds to start."""
    return "asyncio"


@pytest.fixture(scope="session")
async def shared_world(anyio_backend, tmp_path_factory) -> AsyncIterator[World]:
    async with _begin(tmp_path_factory.mktemp("e2e") / "agents_config", behaviour=FAST) as world:
        yield world


@pytest.fixture
def world(shared_world: World) -> World:
    """The gateway that most tests share, with a model that works."""
    shared_world.model.faults.off()
    shared_world.model.script = ()
    return shared_world


@pytest.fixture
def begin(tmp_path: Path) -> Begin:
    """Start a world of one's own."""

    def start(script: Any = (), **options: Any) -> AbstractAsyncContextManager[World]:
        return _begin(tmp_path / "agents_config", script, **options)

    return start
