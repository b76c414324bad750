"""Debian's Chromium with a microphone that plays a recording."""

import shutil
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

EXECUTABLE = shutil.which("chromium") or ""
WITHOUT = "needs Chromium: apt-get install chromium"
needs_chromium = pytest.mark.skipif(not EXECUTABLE, reason=WITHOUT)
# Without these it looks for its maker's servers, at every start.
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
RATE = 8000
PATIENCE = 20_000
"""Milliseconds that a page gets to show what it should."""
SPEECH = Path(__file__).parents[1] / "speech"


def silence(seconds: float) -> bytes:
    """16-bit samples of nothing."""
    return bytes(2 * round(seconds * RATE))


def speech(name: str) -> bytes:
    """16-bit samples of a person, recorded; what a browser's own noise suppression lets through."""
    with wave.open(str(SPEECH / f"{name}.wav"), "rb") as file:
        return file.readframes(file.getnframes())


def recording(path: Path, *parts: bytes) -> Path:
    """Write what the microphone hears; it is silent for a minute afterwards, since Chromium plays it again and again."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(b"".join((*parts, silence(60))))
    return path


@asynccontextmanager
async def page_with_microphone(heard: Path) -> AsyncIterator[Page]:
    """Open a page whose microphone, once asked for, begins to play ``heard``."""
    fake = (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={heard}",
    )
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=EXECUTABLE, args=[*QUIET, *fake])
        try:
            page = await browser.new_page(viewport={"width": 1440, "height": 900})
            page.set_default_timeout(PATIENCE)
            expect.set_options(timeout=PATIENCE)
            yield page
        finally:
            await browser.close()
