"""What each client event does to a session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gateway.testing.model.config import PCM, merge
from gateway.testing.model.faults import Fault
from gateway.testing.model.memory import JSON, Content, Item
from gateway.testing.model.refusal import Refusal

if TYPE_CHECKING:
    from gateway.testing.model.session import ModelSession


def handle(session: ModelSession, event: JSON) -> None:
    """Do what ``event`` asks, or refuse."""
    kind = event.get("type")
    if kind is None:
        raise Refusal("The 'type' field is missing.", code="invalid_event", param="type")
    if kind not in _HANDLERS:
        supported = ", ".join(f"'{each}'" for each in _HANDLERS)
        message = f"Invalid value: '{kind}'. Supported values are: {supported}."
        raise Refusal(message, code="invalid_value", param="type")
    _HANDLERS[kind](session, event)


def _need(event: Mapping[str, Any], name: str, kind: type) -> Any:
    if name not in event:
        raise Refusal(f"Missing required parameter: '{name}'.", code="missing_required_parameter", param=name)
    if not isinstance(event[name], kind):
        message = f"Invalid type for '{name}': expected {kind.__name__}, but got {event[name]!r} instead."
        raise Refusal(message, code="invalid_type", param=name)
    return event[name]


# ---- The session -----------------------------------------------------------------------------------------------------


def _update_session(session: ModelSession, event: JSON) -> None:
    update = _need(event, "session", dict)
    if session.faults.take(Fault.UPDATE_REFUSED):
        message = "Invalid value: 'audio/pcmu'. Supported values are: 'audio/pcm'."
        raise Refusal(message, code="invalid_value", param="session.audio.input.format")
    merged = merge(session.config, update, has_spoken=session.has_spoken)
    if session.faults.take(Fault.FORMAT_IGNORED):
        merged["audio"]["input"]["format"] = dict(PCM)
        merged["audio"]["output"]["format"] = dict(PCM)
    session.config = merged
    session.ears.reconfigure()
    if not session.faults.take(Fault.NO_SESSION_UPDATED):
        session.send("session.updated", session=merged)


# ---- The input audio buffer ------------------------------------------------------------------------------------------


def _append(session: ModelSession, event: JSON) -> None:
    session.ears.append(_need(event, "audio", str))


def _commit(session: ModelSession, _event: JSON) -> None:
    session.ears.commit()


def _clear(session: ModelSession, _event: JSON) -> None:
    session.ears.clear()


def _clear_output(_session: ModelSession, _event: JSON) -> None:
    message = "output_audio_buffer.clear is only supported over WebRTC and SIP."
    raise Refusal(message, code="invalid_value", param="type")


# ---- Items -----------------------------------------------------------------------------------------------------------

_CONTENT = {
    "user": ("input_text", "input_audio", "input_image"),
    "assistant": ("output_text",),
    "system": ("input_text",),
}


def _create_item(session: ModelSession, event: JSON) -> None:
    given = _need(event, "item", dict)
    item = _item(session, given)
    if item.type == "function_call_output" and not session.memory.has_call(item.call_id):
        message = f"Tool call ID '{item.call_id}' not found in conversation."
        raise Refusal(message, code="invalid_tool_call_id", param="item.call_id")
    previous = session.memory.add(item, event.get("previous_item_id"))
    session.item_added(item, previous)


def _item(session: ModelSession, given: JSON) -> Item:
    kind = _need(given, "type", str)
    item_id = given.get("id") or session.new_id("item")
    match kind:
        case "message":
            role = _need(given, "role", str)
            if role not in _CONTENT:
                raise Refusal(f"Invalid value: '{role}'.", code="invalid_value", param="item.role")
            parts = [_content(role, at, part) for at, part in enumerate(_need(given, "content", list))]
            return Item(item_id, "message", role=role, content=parts)
        case "function_call":
            call_id = given.get("call_id") or session.new_id("call")
            name, arguments = _need(given, "name", str), _need(given, "arguments", str)
            return Item(item_id, "function_call", name=name, call_id=call_id, arguments=arguments)
        case "function_call_output":
            call_id, output = _need(given, "call_id", str), _need(given, "output", str)
            return Item(item_id, "function_call_output", call_id=call_id, output=output)
        case _:
            supported = "'message', 'function_call', and 'function_call_output'"
            message = f"Invalid value: '{kind}'. Supported values are: {supported}."
            raise Refusal(message, code="invalid_value", param="item.type")


def _content(role: str, at: int, part: JSON) -> Content:
    path = f"item.content[{at}]"
    kind = part.get("type")
    if kind not in _CONTENT[role]:
        supported = ", ".join(f"'{each}'" for each in _CONTENT[role])
        message = f"Invalid value: '{kind}'. Supported values are: {supported}."
        raise Refusal(message, code="invalid_value", param=f"{path}.type")
    name = {"input_audio": "audio", "input_image": "image_url"}.get(str(kind), "text")
    if not isinstance(part.get(name), str):
        missing = f"{path}.{name}"
        raise Refusal(f"Missing required parameter: '{missing}'.", code="missing_required_parameter", param=missing)
    return Content(kind, part.get("transcript") if kind == "input_audio" else part[name])


def _truncate_item(session: ModelSession, event: JSON) -> None:
    item_id = _need(event, "item_id", str)
    index, end_ms = _need(event, "content_index", int), _need(event, "audio_end_ms", int)
    if end_ms < 0:
        message = f"Invalid 'audio_end_ms': integer below minimum value. Expected a value >= 0, but got {end_ms}."
        raise Refusal(message, code="integer_below_min_value", param="audio_end_ms")
    session.memory.truncate(item_id, index, end_ms)
    session.send("conversation.item.truncated", item_id=item_id, content_index=index, audio_end_ms=end_ms)


def _delete_item(session: ModelSession, event: JSON) -> None:
    item_id = _need(event, "item_id", str)
    session.memory.delete(item_id)
    session.send("conversation.item.deleted", item_id=item_id)


def _retrieve_item(session: ModelSession, event: JSON) -> None:
    item = session.memory.retrieve(_need(event, "item_id", str))
    session.send("conversation.item.retrieved", item=item.wire(with_audio=True))


# ---- Responses -------------------------------------------------------------------------------------------------------


def _create_response(session: ModelSession, event: JSON) -> None:
    session.answer("client", event.get("response"))


def _cancel_response(session: ModelSession, event: JSON) -> None:
    wanted = event.get("response_id")
    answers = [each for each in session.answers if not each.over]
    if wanted is not None:
        answers = [each for each in answers if each.id == wanted]
    else:
        answers = [each for each in answers if each.in_conversation]
    if not answers:
        raise Refusal("Cancellation failed: no active response found", code="response_cancel_not_active")
    answers[0].cancel("client_cancelled")


_HANDLERS: dict[str, Callable[[ModelSession, JSON], None]] = {
    "session.update": _update_session,
    "input_audio_buffer.append": _append,
    "input_audio_buffer.commit": _commit,
    "input_audio_buffer.clear": _clear,
    "output_audio_buffer.clear": _clear_output,
    "conversation.item.create": _create_item,
    "conversation.item.truncate": _truncate_item,
    "conversation.item.delete": _delete_item,
    "conversation.item.retrieve": _retrieve_item,
    "response.create": _create_response,
    "response.cancel": _cancel_response,
}
