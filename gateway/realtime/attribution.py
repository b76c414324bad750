"""Which item, and which tool call, an event of the SDK's session is about, where the SDK does not say."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

ITEMS = 8
CALLS = 64


class Spoken:
    """What the agent lately said, item by item, to tell which of them a guardrail is about.

    A guardrail's event has only the text that it looked at: the item's transcript so far.
    """

    def __init__(self) -> None:
        self._items: OrderedDict[str, tuple[str, str]] = OrderedDict()

    def add(self, item_id: str, response_id: str, delta: str) -> None:
        """Note a piece of an item's transcript."""
        _, said = self._items.get(item_id, ("", ""))
        self._items[item_id] = (response_id, said + delta)
        if len(self._items) > ITEMS:
            self._items.popitem(last=False)

    def find(self, message: str) -> tuple[str, str]:
        """Return the ids of the latest item whose text begins so, and of its response; else the latest item's."""
        for item_id, (response_id, said) in reversed(self._items.items()):
            if said.startswith(message):
                return item_id, response_id
        return next(((item_id, item[0]) for item_id, item in reversed(self._items.items())), ("", ""))


@dataclass(slots=True)
class _Call:
    name: str
    arguments: str
    call_id: str
    started: bool = False


class ToolCalls:
    """The model's tool calls that have not ended, to tell which one a tool's start or end is about.

    Where two calls are alike in name and arguments it does not matter which is which, so the older one is taken.
    """

    def __init__(self) -> None:
        self._calls: list[_Call] = []

    def called(self, name: str, arguments: str, call_id: str) -> None:
        """Note a call of the model's. Of those that never end as tools (handoffs) only the last few are kept."""
        self._calls = [*self._calls[-CALLS + 1 :], _Call(name, arguments, call_id)]

    def started(self, name: str, arguments: str) -> str:
        """Return the id of the call that starts; empty where none is known."""
        for call in self._calls:
            if (call.name, call.arguments, call.started) == (name, arguments, False):
                call.started = True
                return call.call_id
        return ""

    def ended(self, name: str, arguments: str) -> str:
        """Return the id of the call that ends (a rejected one never started); empty where none is known."""
        alike = [call for call in self._calls if (call.name, call.arguments) == (name, arguments)]
        if not alike:
            return ""
        call = next((call for call in alike if call.started), alike[0])
        self._calls.remove(call)
        return call.call_id
