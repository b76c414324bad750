"""What an agent may do to its call: tools as plain values, without the Agents SDK."""

from gateway.tools.builtin import BUILTIN_NAMES, HANG_UP_REASONS, builtin
from gateway.tools.context import ToolContext
from gateway.tools.spec import Effect, ToolSpec

__all__ = ["BUILTIN_NAMES", "HANG_UP_REASONS", "Effect", "ToolContext", "ToolSpec", "builtin"]
