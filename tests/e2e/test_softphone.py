"""The softphone in a real browser, against a gateway process without Twilio's token."""

import json

import pytest
from playwright.async_api import Page, expect

from gateway.testing import FakeTwilio, GatewayProcess, ScriptedModel
from gateway.testing.model import call_tool, say
from tests.e2e.chromium import needs_chromium, page_with_microphone, recording, silence, speech

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(180), needs_chromium]

ALONE = {"TWILIO_ACCOUNT_SID": "", "TWILIO_AUTH_TOKEN": "", "GATEWAY_PUBLIC_URL": ""}
LINE = """
default: true
label: Seats
greeting: Hello.
agent: seats
agents:
  seats:
    instructions: You change seats.
    tools: ["seat_tools:change_seat"]
    needs_approval: ["seat_tools:change_seat"]
"""
TOOLS = '''
def change_seat(seat: str) -> str:
    """Change a seat.

    Args:
        seat: The new seat.
    """
    return f"You now sit on {seat}. <script>alert(1)</script>"
'''
EVIL = 'Hello <img src="x" onerror="alert(1)"> how can I help you?'
LONG = "This is a long answer " + "that goes on and on " * 8 + "and nobody hears its end."


async def test_a_call_from_the_browser_is_heard_shown_approved_and_cut(tmp_path):
    folder = tmp_path / "agents_config"
    (folder / "tools").mkdir(parents=True)
    (folder / "seats.yaml").write_text(LINE)
    (folder / "tools" / "seat_tools.py").write_text(TOOLS)
    asked = say("One moment, please.", 1.0) + call_tool("change_seat", {"seat": "12A"})
    script = [say(EVIL, 1.5), asked, say("Press one to confirm.", 1.0), say(LONG, 20.0), say("Of course.", 1.0)]
    # The caller asks behind the greeting, and cuts in once the long answer has begun.
    heard = recording(
        tmp_path / "caller.wav", silence(4), speech("cmu_goforward"), silence(10), speech("cmu_something")
    )
    async with (
        ScriptedModel(script) as model,
        FakeTwilio(voice_url="https://gw.example/twilio/voice") as twilio,
        GatewayProcess(folder, twilio=twilio, model_url=model.url, environment=ALONE) as gateway,
        page_with_microphone(heard) as page,
    ):
        dialogs, faults = watch(page)
        await page.goto(f"{gateway.base_url}/console/softphone")
        await page.get_by_role("button", name="Call").click()
        await expect(page.locator("#status")).to_have_text("Connected")

        greeting = page.locator(".turn.agent").first
        await expect(greeting.locator(".heard")).to_have_text(EVIL)  # as text: nothing of it was run
        assert await voiced_ms(page) > 800

        await expect(page.locator(".tool .state")).to_have_text("needs approval")
        await expect(page.locator(".tool dd")).to_have_text("12A")
        await page.get_by_role("button", name="Approve").click()
        await expect(page.locator(".tool .state")).to_have_text("approved · done")
        await expect(page.locator(".tool .output")).to_contain_text("<script>alert(1)</script>")

        await expect(page.locator(".note.cut")).to_contain_text("Caller cut in", timeout=30_000)
        long = page.locator(".turn.agent", has_text="This is a long answer")
        await expect(long.locator("s.lost")).to_contain_text("nobody hears its end.")
        await expect(long.locator(".heard")).to_contain_text("This is a long")
        await expect(page.locator(".turn.agent").last.locator(".heard")).to_have_text("Of course.")
        assert await page.locator(".turn.caller").count() >= 2
        await expect(page.locator("#answer")).to_contain_text(" s")

        await everything_is_in_view(page)
        await page.get_by_role("button", name="Hang up").click()
        await expect(page.locator(".note.end")).to_contain_text("caller-hung-up")
        ended = await gateway.wait_until_logged("call-ended")
        assert (ended["result"], ended["reason"]) == ("success", "caller-hung-up")
        truncated = model.session().events("conversation.item.truncate")
        assert 0 < truncated[-1]["audio_end_ms"] < 20_000

        await model.refuse_connections()
        await page.get_by_role("button", name="Call").click()
        await expect(page.locator(".note.end.bad")).to_have_text("The model failed · model-unreachable")
        await expect(page.locator(".note.remedy")).to_contain_text("gateway doctor")
        assert (dialogs, faults) == ([], [])
        assert json.dumps(gateway.logged("browser-refused")) == "[]"


async def everything_is_in_view(page: Page) -> None:
    """On a telephone and on a desk, by day and by night: nothing sticks out, and the buttons are of a finger's size."""
    for width, height in ((360, 780), (1440, 900)):
        await page.set_viewport_size({"width": width, "height": height})
        for scheme in ("dark", "light"):
            await page.emulate_media(color_scheme=scheme)
            sticks_out = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert await page.evaluate(sticks_out) == 0
            box = await page.get_by_role("button", name="Hang up").bounding_box()
            assert box is not None
            assert (box["width"] >= 44, box["height"] >= 44) == (True, True)


def watch(page: Page) -> tuple[list[str], list[str]]:
    """Note what must not happen: dialogs that an injected script opens, and errors of the page or its policy."""
    dialogs: list[str] = []
    faults: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    return dialogs, faults


async def voiced_ms(page: Page) -> int:
    """Milliseconds of sound, not silence, that left the page for the speaker."""
    return int(await page.locator("#agent-level").get_attribute("data-voiced") or 0)
