"""Calls that have things which are nobody else's business, each of them a word that is known wherever it turns up."""

from pathlib import Path
from typing import Any

from gateway.testing import ScriptedCaller
from gateway.testing.twilio import tone

_TOOLS = '''
def find(customer: str) -> str:
    """Find a customer.

    Args:
        customer: who.
    """
    if customer.endswith("7"):
        raise ValueError(f"no customer {customer}, resultcanary{customer[-6:]}")
    return f"resultcanary{customer[-6:]}"
'''
_QUESTION = tone(500, 300.0, 1000.0)


def canaries(number: int) -> dict[str, str]:
    """What there is of one call: its caller, what is said, what the tool gives, and the digits."""
    return {
        "phone": f"1707555{4000 + number}",
        "caller": f"heardcanary{number:06}",
        "agent": f"saidcanary{number:06}",
        "result": f"resultcanary{number:06}",
        "digits": f"7391{number:03}52",
    }


def add_tool(agents_config: Path) -> None:
    """Write the tool ``records:find``, which gives a customer's result, or fails for each whose number ends with 7."""
    (agents_config / "tools").mkdir(parents=True)
    (agents_config / "tools" / "records.py").write_text(_TOOLS)


async def call(world: Any, own: dict[str, str]) -> ScriptedCaller:
    """Hear the greeting, ask something, press the digits once the agent has answered, and wait for the end."""
    caller: ScriptedCaller = await world.twilio.dial("+15550100", caller="+" + own["phone"])
    await caller.wait_for_speech()
    await caller.wait_for_silence(600)
    await caller.say(_QUESTION)
    await caller.wait_for_answer()
    for digit in own["digits"] + "#":
        caller.call.press(digit)
    await caller.wait_for_end()
    return caller
