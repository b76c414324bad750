"""A Media Streams client that was not written here (streamdouble, from PyPI) calls the gateway.

It knows nothing of signatures, so a relay in between signs its upgrade as the carrier does and passes every message on
as it is, in both directions.
"""

import asyncio
import re
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
import websockets
from streamdouble import audio
from streamdouble.protocol import StreamIdentity
from streamdouble.session import Session, SessionConfig
from twilio.request_validator import RequestValidator

from gateway.testing import VOICE_URL
from gateway.testing.model import say

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
RECORDING = Path(__file__).parents[1] / "speech" / "cmu_cards_001.wav"


@asynccontextmanager
async def signing(url, secret, base_url):
    """A relay for one client: its upgrade is signed for the public URL and goes to where the gateway really listens."""

    async def pump(source, sink):
        try:
            async for message in source:
                await sink.send(message)
        finally:
            await sink.close()

    async def relay(client):
        headers = {"X-Twilio-Signature": RequestValidator(secret).compute_signature(url, {})}
        there = base_url.replace("http", "ws", 1) + "/twilio/media"
        async with websockets.connect(there, additional_headers=headers, compression=None) as gateway:
            await asyncio.gather(pump(client, gateway), pump(gateway, client), return_exceptions=True)

    async with websockets.serve(relay, "127.0.0.1", 0, compression=None) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def offered(world, identity):
    """Where the carrier is told to connect a call's stream, and with which parameters."""
    form = {
        "CallSid": identity.call_sid,
        "AccountSid": identity.account_sid,
        "From": "+15005550006",
        "To": "+15550100",
        "CallStatus": "ringing",
        "Direction": "inbound",
    }
    signature = RequestValidator(world.twilio.account.auth_token).compute_signature(VOICE_URL, form)
    async with httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.post(
            world.gateway.base_url + "/twilio/voice", data=form, headers={"X-Twilio-Signature": signature}
        )
    twiml = answer.text
    return re.findall(r'<Stream url="([^"]+)"', twiml)[0], dict(
        re.findall(r'<Parameter name="([^"]+)" value="([^"]+)"', twiml)
    )


async def test_an_independent_client_finds_nothing_wrong_and_loses_nothing(begin):
    quiet = [b"\xff" * 160]
    frames = quiet * 50 + audio.wav_to_ulaw_frames(RECORDING) + quiet * 60
    async with begin([say("Hello, how can I help you?", 2), say("The four of clubs.", 3)]) as world:
        identity = StreamIdentity(account_sid=world.twilio.account.sid)
        url, parameters = await offered(world, identity)
        async with signing(url, world.twilio.account.auth_token, world.gateway.base_url) as relay:
            config = SessionConfig(custom_parameters=parameters, quiet_period_s=1.5, max_drain_s=10)
            result = await Session(relay, frames, config=config, identity=identity).run()

        assert [str(violation) for violation in result.violations] == []
        assert not result.closed_early
        assert result.clears_received == 1, "the caller spoke into the greeting"
        assert result.marks_received
        spoken = 8000 * 3  # the answer came whole; of the greeting, what had left before the caller cut it
        assert spoken <= len(result.audio_received) <= spoken + 8000 * 2
        assert bytes(world.model.session().appended) == b"".join(frames)
