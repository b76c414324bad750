"""What must not happen under load: a call that waits for an import, and calls that leave something behind."""

import re
from dataclasses import asdict
from pathlib import Path

import anyio
import pytest

from gateway.testing.load.rig import Placing, load_process, program_under_test, write_line
from gateway.testing.load.traffic import Traffic

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(120)]
ANYWHERE = Placing(None, None, False)
DENSE = Traffic(density=4.0, interrupt_every=2, tool_every=3)


async def test_no_call_pays_an_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python itself says what it imports; from readiness on that is nothing, whatever happens in the calls."""
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    write_line(tmp_path)
    async with load_process(asdict(DENSE), ANYWHERE, None) as load:
        url = f"ws://127.0.0.1:{load.model_port}/v1/realtime?model=bench"
        async with program_under_test("gateway", tmp_path, url, ANYWHERE, None) as (_, port):
            said = (tmp_path / "gateway.log").read_text()
            assert "import time:" in said
            await load.ask(do="grow", port=port, calls=3)
            seen = await load.ask(do="measure", seconds=3 * DENSE.turn)
            await load.ask(do="shrink", port=port)
            await anyio.sleep(1)
            after = (tmp_path / "gateway.log").read_text()[len(said) :]
    assert seen["tools"]
    assert re.findall(r"import time:.*\| *(\S+)$", after, re.MULTILINE) == []
