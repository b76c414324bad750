"""What was said in a session: the items of the protocol, and what of them is remembered."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from gateway.local.brain.turn import Line, Note
from gateway.local.protocol import ClientError, ClientItem, FunctionCall, Json, Message
from gateway.local.sound import BYTES_PER_MS, Format
from gateway.local.speech import SpokenWord

Kind: TypeAlias = Literal["message", "function_call", "function_call_output"]
_AUDIO_PARTS = {"input_audio", "output_audio", "audio"}


@dataclass(slots=True)
class Content:
    """One part of a message: its text or transcript and, where it was sound, its wire bytes and the words' times."""

    type: str
    text: str | None = None
    audio: bytearray = field(default_factory=bytearray, repr=False)
    wire: Format = "audio/pcmu"
    words: list[SpokenWord] = field(default_factory=list, repr=False)
    image_url: str | None = None
    cut: bool = False

    @property
    def duration_ms(self) -> float:
        """How long the sound is that was generated so far."""
        return len(self.audio) / BYTES_PER_MS[self.wire]

    def view(self, *, with_audio: bool) -> Json:
        """Give the part as events carry it."""
        if self.type == "input_image":
            return {"type": self.type, "image_url": self.image_url}
        if self.type not in _AUDIO_PARTS:
            return {"type": self.type, "text": self.text or ""}
        part: Json = {"type": self.type, "transcript": self.text}
        if with_audio:
            part["audio"] = base64.b64encode(self.audio).decode()
        return part


@dataclass(slots=True)
class Item:
    """One item of the conversation."""

    id: str
    kind: Kind
    role: str | None = None
    status: str = "completed"
    content: list[Content] = field(default_factory=list)
    name: str = ""
    call_id: str = ""
    arguments: str = ""
    output: str = ""
    note: Note | None = None

    @property
    def text(self) -> str:
        """What is written or was said in a message, as far as it is remembered."""
        return " ".join(part.text.strip() for part in self.content if part.text)

    def view(self, *, with_audio: bool = False) -> Json:
        """Give the item as events carry it: without its sound, unless that was asked for."""
        item: Json = {"id": self.id, "object": "realtime.item", "type": self.kind, "status": self.status}
        if self.kind == "message":
            item["role"] = self.role
            item["content"] = [part.view(with_audio=with_audio) for part in self.content]
        elif self.kind == "function_call":
            item |= {"name": self.name, "call_id": self.call_id, "arguments": self.arguments}
        else:
            item |= {"call_id": self.call_id, "output": self.output}
        return item

    def line(self) -> Line:
        """Give the item as the brain remembers it."""
        return Line(
            kind=self.kind,
            role=self.role or "",
            text=self.text,
            name=self.name,
            call_id=self.call_id,
            arguments=self.arguments,
            output=self.output,
            note=self.note,
        )


class Conversation:
    """The items in their order."""

    def __init__(self, conversation_id: str) -> None:
        self.id = conversation_id
        self.items: list[Item] = []

    def find(self, item_id: str) -> Item | None:
        """Find an item."""
        return next((item for item in self.items if item.id == item_id), None)

    def last_id(self) -> str | None:
        """Tell which item is the last."""
        return self.items[-1].id if self.items else None

    def add(self, item: Item, after: str | None = None) -> str | None:
        """Put an item at the end, or after another one (``root``: first); gives the id of the one before it."""
        if self.find(item.id) is not None:
            raise ClientError(
                f"Error adding item: an item with id '{item.id}' already exists.",
                "item_create_invalid_item_id",
                "item.id",
            )
        if after is None:
            previous = self.last_id()
            self.items.append(item)
            return previous
        if after == "root":
            self.items.insert(0, item)
            return None
        index = next((index for index, other in enumerate(self.items) if other.id == after), None)
        if index is None:
            raise ClientError(
                f"Error adding item: the previous item with id '{after}' does not exist.",
                "item_create_invalid_previous_item_id",
                "previous_item_id",
            )
        self.items.insert(index + 1, item)
        return after

    def previous_of(self, item: Item) -> str | None:
        """Tell which item is before this one."""
        index = self.items.index(item)
        return self.items[index - 1].id if index else None

    def get(self, item_id: str, doing: str) -> Item:
        """Find an item that must exist; ``doing`` names what failed otherwise (retrieve, delete, truncate)."""
        item = self.find(item_id)
        if item is None:
            raise ClientError(
                f"Error {doing.removesuffix('e')}ing item: the item with id '{item_id}' does not exist.",
                f"item_{doing}_invalid_item_id",
                "item_id",
            )
        return item

    def delete(self, item_id: str) -> None:
        """Take an item out of memory."""
        self.items.remove(self.get(item_id, "delete"))

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> None:
        """Cut what was said at what was heard: the sound to the millisecond, the text to its last whole word."""
        item = self.get(item_id, "truncate")
        if item.kind != "message" or item.role != "assistant":
            raise ClientError(
                "Only model output audio messages can be truncated.", "invalid_value", "item_id"
            )  # fmt: skip
        if not 0 <= content_index < len(item.content) or item.content[content_index].type != "output_audio":
            raise ClientError(
                f"Item '{item_id}' has no audio content at index {content_index}.", "invalid_value", "content_index"
            )
        if audio_end_ms < 0:
            raise ClientError("audio_end_ms must not be negative.", "invalid_value", "audio_end_ms")
        part = item.content[content_index]
        if audio_end_ms > -int(-part.duration_ms // 1):
            raise ClientError(
                f"Audio content of {int(part.duration_ms)}ms is already shorter than {audio_end_ms}ms",
                "invalid_value",
                "audio_end_ms",
            )
        del part.audio[audio_end_ms * BYTES_PER_MS[part.wire] :]
        part.words = [word for word in part.words if word.end_ms <= audio_end_ms]
        part.text = "".join(word.text for word in part.words).strip()
        part.cut = True
        if not part.text:
            item.note = None  # a question that nobody heard was not asked

    def lines(self) -> list[Line]:
        """Give all that is remembered, oldest first."""
        return [item.line() for item in self.items]


def from_client(wanted: ClientItem, item_id: str, wire: Format) -> Item:
    """Make the item that a client describes."""
    if isinstance(wanted, Message):
        content = [
            Content(
                type=part.type,
                text=part.transcript if part.type in _AUDIO_PARTS else part.text,
                audio=bytearray(base64.b64decode(part.audio)) if part.audio else bytearray(),
                wire=wire,
                image_url=part.image_url,
            )
            for part in wanted.content
        ]
        if wanted.role == "assistant" and any(part.type == "output_audio" for part in wanted.content):
            raise ClientError(
                "Assistant audio messages can't be created by the client.", "invalid_value", "item.content"
            )
        return Item(item_id, "message", role=wanted.role, content=content)
    if isinstance(wanted, FunctionCall):
        return Item(
            item_id, "function_call", name=wanted.name, call_id=wanted.call_id or "", arguments=wanted.arguments
        )
    return Item(item_id, "function_call_output", call_id=wanted.call_id, output=wanted.output)
