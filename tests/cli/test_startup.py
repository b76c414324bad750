"""``gateway --help`` answers at once: nothing heavy is imported for it."""

import subprocess
import sys
import time

import pytest

HEAVY = ("agents", "openai", "twilio", "sqlalchemy", "starlette", "uvicorn", "asyncio", "structlog", "msgspec")
EMPTY = """
import typer
app = typer.Typer()
@app.command()
def one(): ...
@app.command()
def two(): ...
app()
"""


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"], ["version"]])
def test_nothing_heavy_is_imported(arguments):
    program = f"""
import sys
from gateway.cli import main
try:
    main({arguments!r})
except SystemExit:
    pass
heavy = {HEAVY!r}
print("IMPORTED", sorted(name for name in heavy if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "IMPORTED []"


@pytest.mark.slow
@pytest.mark.alone
def test_help_takes_little_longer_than_that_of_an_empty_program(tmp_path):
    """1.5 times is the aim; a busy machine may double either."""
    empty = tmp_path / "empty.py"
    empty.write_text(EMPTY)
    theirs: list[float] = []
    ours: list[float] = []
    for _ in range(5):
        for took, command in ((theirs, [str(empty)]), (ours, ["-m", "gateway"])):
            began = time.perf_counter()
            subprocess.run([sys.executable, *command, "--help"], stdout=subprocess.DEVNULL, check=True)
            took.append(time.perf_counter() - began)
    assert min(ours) < 2 * min(theirs)
