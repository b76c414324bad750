"""What the end-to-end tests share: carrier, gateway process and model, all of them real and joined by sockets."""

import gc
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
from tests.twilio_api import find_twilio_api

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
        """How far the model remembers the answer that a clear cut, and how far the caller heard it.

        Both are milliseconds in all that the model has made: where one item ends and the next begins is one place.
        """
        heard = [frame for frame in decode_frames(caller.heard) if frame.tag == session.number]
        last = max((frame for frame in heard if frame.at / 8 <= clear.at_ms), key=lambda frame: frame.seq)
        truth = last.seq * 20 + min(clear.at_ms - last.at / 8, 20)
        remembered = [
            (part.first_frame, item.response_id, part.first_frame * 20 + part.duration_ms)
            for item in session.items
            for part in item.content
            if part.first_frame is not None
        ]
        _, cut, _ = max(place for place in remembered if place[0] <= last.seq)
        return max(end for _, response, end in remembered if response == cut), truth

    @staticmethod
    def lateness(caller: ScriptedCaller, clear: Cleared) -> float:
        """By how much the carrier's own clock was not true around a clear, as it shares its machine: milliseconds."""
        near = (frame for frame in caller.call.log.frames if clear.at_ms - 1000 <= frame.at_ms <= clear.at_ms + 100)
        return max(frame.late_ms for frame in near)

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
        if api := find_twilio_api():
            api.judge(twilio.rest.requests)  # nothing was asked that Twilio does not describe


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


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One event loop for the tests of a module, so that they can share a gateway that takes seconds to start.

    Not one for all modules: other tests start loops of their own, which a loop that goes on would forbid.
    """
    return "asyncio"


@pytest.fixture(autouse=True)
def steady() -> Iterator[None]:
    """Collect garbage between tests: here it takes up to 0.4 s, in which no simulated carrier keeps its time."""
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


@pytest.fixture(scope="module")
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
