"""A model server that speaks OpenAI's Realtime protocol (GA) and does what a test says.

Written from OpenAI's documents as they are embodied in ``openai.types.realtime``; every event that it sends validates
against them. What the documents leave open (how fast audio comes, how large its pieces are) is a parameter.
"""

from gateway.testing.model.answer import Answer, Asked
from gateway.testing.model.client import PHONE, RawClient
from gateway.testing.model.faults import Fault, Faults
from gateway.testing.model.frames import (
    FRAME_BYTES,
    SILENCE,
    Frame,
    FrameReport,
    compare_frames,
    decode_frames,
    encode_frame,
)
from gateway.testing.model.link import Message
from gateway.testing.model.memory import Content, Item
from gateway.testing.model.script import (
    CallTool,
    Say,
    Turn,
    call_tool,
    cancelled,
    fail,
    hand_over,
    incomplete,
    nothing,
    say,
    silence,
)
from gateway.testing.model.server import ScriptedModel
from gateway.testing.model.session import Brain, ModelSession, Script
from gateway.testing.model.timing import Timing

__all__ = [
    "FRAME_BYTES",
    "PHONE",
    "SILENCE",
    "Answer",
    "Asked",
    "Brain",
    "CallTool",
    "Content",
    "Fault",
    "Faults",
    "Frame",
    "FrameReport",
    "Item",
    "Message",
    "ModelSession",
    "RawClient",
    "Say",
    "Script",
    "ScriptedModel",
    "Timing",
    "Turn",
    "call_tool",
    "cancelled",
    "compare_frames",
    "decode_frames",
    "encode_frame",
    "fail",
    "hand_over",
    "incomplete",
    "nothing",
    "say",
    "silence",
]
