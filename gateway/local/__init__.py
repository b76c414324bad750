"""A realtime server on this machine: real speech behind OpenAI's Realtime protocol, for tests and for the demo.

``spawn()`` starts it as a process of its own and waits until it is ready; ``LocalModel`` does the same as a context.
Nothing heavy is imported here, so that importing the name costs nothing.
"""

from __future__ import annotations

from gateway.local.spawn import LocalModel, spawn

__all__ = ["LocalModel", "spawn"]
