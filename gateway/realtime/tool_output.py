"""What a tool returned, as text for the model."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Set as AbstractSet
from typing import Any

from agents import ToolOutputFileContent, ToolOutputImage, ToolOutputText
from pydantic import BaseModel

OUTPUT_LIMIT = 8192
"""Bytes of UTF-8; more would cost the caller seconds and the model its memory."""


def text_of(result: object, limit: int = OUTPUT_LIMIT) -> str:
    """Return a tool's result as text that can be sent: strings as they are, all else as JSON, cut at the limit.

    It stops reading where the limit is reached: turning all of a huge result into JSON would hold the interpreter's
    lock, and with it the loop that carries the calls.
    """
    try:
        return _cut(_text(result, limit), limit)
    except Exception as error:  # noqa: BLE001 - a result may run the user's code (__str__, serializers) or be endless
        return f"The tool returned something that is no text ({type(result).__name__}: {type(error).__name__})."


def _text(result: object, limit: int) -> str:
    match result:
        case str():
            return result
        case ToolOutputText():
            return result.text
        case ToolOutputImage() | ToolOutputFileContent() | bytes() | bytearray() | memoryview():
            return _unspeakable(result)
        case list() if result and all(isinstance(part, ToolOutputText) for part in result):
            return "\n".join(part.text for part in result)
    chunks: list[str] = []
    size = 0
    for chunk in json.JSONEncoder(ensure_ascii=False, default=_plain).iterencode(_plain(result)):
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            break
    return "".join(chunks)


def _plain(value: Any) -> Any:
    """Return something closer to JSON than this value."""
    match value:
        case BaseModel():
            return value.model_dump(mode="json")
        case bytes() | bytearray() | memoryview():
            return _unspeakable(value)
        case AbstractSet():
            return list(value)
        case None | bool() | int() | float() | str() | list() | tuple() | dict():
            return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return str(value)


def _unspeakable(value: object) -> str:
    size = f" of {len(value)} bytes" if isinstance(value, bytes | bytearray) else ""
    return f"The tool returned {type(value).__name__}{size}, which can't be put into words."


def _cut(text: str, limit: int) -> str:
    # A lone surrogate can't be sent at all; it becomes a question mark.
    raw = text[: limit + 1].encode("utf-8", "replace")
    if len(raw) <= limit:
        return raw.decode()
    note = " [cut: the tool returned too much]"
    return raw[: limit - len(note)].decode("utf-8", "ignore") + note
