"""What a scripted model remembers of a conversation: its items, cut to what was heard where a client said so."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from gateway.testing.model.refusal import Refusal

JSON: TypeAlias = dict[str, Any]

OBFUSCATION = "hVt3kQz0Rf"
"""Deltas of text carry padding of this name on the wire; it is in no published schema, so clients must ignore it."""

Role: TypeAlias = Literal["user", "assistant", "system"]


@dataclass(slots=True)
class Content:
    """One part of a message. ``text`` is the text, or the transcript of the audio."""

    type: Literal["input_text", "input_audio", "input_image", "output_text", "output_audio"]
    text: str | None = None
    audio: bytearray = field(default_factory=bytearray)
    bytes_per_ms: int = 8
    first_frame: int | None = None
    """The number of its first numbered frame, where it has any."""
    truncated_ms: int | None = None
    """Where the client cut it; what came later is forgotten."""

    @property
    def duration_ms(self) -> int:
        """How much audio it holds."""
        return len(self.audio) // self.bytes_per_ms

    def extend(self, text: str, audio: bytes) -> None:
        """Add what was generated, unless the client has cut the item already."""
        if self.truncated_ms is None:
            self.text = (self.text or "") + text
            self.audio += audio

    def truncate(self, end_ms: int) -> None:
        """Forget the audio after ``end_ms`` and, in proportion, the words that it carried."""
        words = (self.text or "").split()
        kept = len(words) * end_ms // self.duration_ms if self.duration_ms else 0
        self.text = " ".join(words[:kept])
        del self.audio[end_ms * self.bytes_per_ms :]
        self.truncated_ms = end_ms

    def wire(self, *, with_audio: bool) -> JSON:
        """Render it as in the API. A truncated part has no transcript, as conversation.item.truncate documents."""
        if self.type in {"input_text", "output_text"}:
            return {"type": self.type, "text": self.text or ""}
        if self.type == "input_image":
            return {"type": self.type, "image_url": self.text}
        part: JSON = {"type": self.type, "transcript": None if self.truncated_ms is not None else self.text}
        if with_audio:
            part["audio"] = base64.b64encode(self.audio).decode()
        return part


@dataclass(slots=True)
class Item:
    """One conversation item, of any type that a phone call can have."""

    id: str
    type: Literal["message", "function_call", "function_call_output"]
    role: Role | None = None
    status: Literal["in_progress", "completed", "incomplete"] = "completed"
    content: list[Content] = field(default_factory=list)
    name: str = ""
    call_id: str = ""
    arguments: str = ""
    output: str = ""
    response_id: str | None = None

    @property
    def text(self) -> str:
        """What the model remembers of it."""
        if self.type == "function_call":
            return f"{self.name}({self.arguments})"
        if self.type == "function_call_output":
            return self.output
        return " ".join(part.text for part in self.content if part.text)

    def wire(self, *, with_audio: bool = False) -> JSON:
        """Render it as in the API, with its audio only for conversation.item.retrieved."""
        item: JSON = {"id": self.id, "type": self.type, "status": self.status}
        match self.type:
            case "message":
                item |= {"role": self.role, "content": [part.wire(with_audio=with_audio) for part in self.content]}
            case "function_call":
                item |= {"name": self.name, "call_id": self.call_id, "arguments": self.arguments}
            case "function_call_output":
                item |= {"call_id": self.call_id, "output": self.output}
        return item


class Memory:
    """The items of the default conversation, in order."""

    def __init__(self) -> None:
        self.items: list[Item] = []

    def add(self, item: Item, previous_item_id: str | None = None) -> str | None:
        """Insert ``item`` after another (or at the ``root``, or at the end) and give the id of the one before it."""
        if any(other.id == item.id for other in self.items):
            raise Refusal(
                f"Error adding item: an item with id '{item.id}' already exists in the conversation.",
                code="item_create_duplicate_item_id",
                param="item.id",
            )
        if previous_item_id == "root":
            at = 0
        elif previous_item_id is None:
            at = len(self.items)
        else:
            at = self._index(previous_item_id, "adding", "create", param="previous_item_id") + 1
        self.items.insert(at, item)
        return self.items[at - 1].id if at else None

    def before(self, item: Item) -> str | None:
        """Give the id of the item before ``item``."""
        at = next((at for at, other in enumerate(self.items) if other is item), 0)
        return self.items[at - 1].id if at else None

    def retrieve(self, item_id: str) -> Item:
        """Give the item with this id."""
        return self.items[self._index(item_id, "retrieving", "retrieve")]

    def delete(self, item_id: str) -> None:
        """Forget an item."""
        del self.items[self._index(item_id, "deleting", "delete")]

    def truncate(self, item_id: str, content_index: int, end_ms: int) -> None:
        """Forget the audio of an assistant's message after ``end_ms``."""
        item = self.items[self._index(item_id, "truncating", "truncate")]
        parts = item.content if item.type == "message" and item.role == "assistant" else []
        if not 0 <= content_index < len(parts) or parts[content_index].type != "output_audio":
            raise Refusal("Only model output audio messages can be truncated", code="invalid_value", param="item_id")
        part = parts[content_index]
        if not part.audio and part.truncated_ms is None:
            raise Refusal("Only model output audio messages can be truncated", code="invalid_value", param="item_id")
        if end_ms > part.duration_ms:
            raise Refusal(
                f"Audio content of {part.duration_ms}ms is already shorter than {end_ms}ms",
                code="invalid_value",
                param="audio_end_ms",
            )
        part.truncate(end_ms)

    def has_call(self, call_id: str) -> bool:
        """Tell whether a function call with this call_id is remembered."""
        return any(item.type == "function_call" and item.call_id == call_id for item in self.items)

    def _index(self, item_id: str, doing: str, verb: str, param: str = "item_id") -> int:
        for at, item in enumerate(self.items):
            if item.id == item_id:
                return at
        raise Refusal(
            f"Error {doing} item: the item with id '{item_id}' does not exist.",
            code=f"item_{verb}_invalid_item_id",
            param=param,
        )
