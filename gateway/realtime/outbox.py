"""What waits to be sent to the agent."""

from __future__ import annotations

import asyncio
from collections import deque

from gateway.call.commands import AgentCommand, Hear


class Outbox:
    """Commands in order, with a bound on the caller's audio among them.

    Audio beyond ``limit`` bytes drives the oldest audio out, which is counted; no other command is ever dropped
    (design rule 11). One reader, on the event loop's thread.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._commands: deque[AgentCommand] = deque()
        self._audio = 0
        self._dropped = 0
        self._filled = asyncio.Event()
        self.idle = False
        """Whether the reader waits for a command: all that was queued has been sent."""

    def put(self, command: AgentCommand) -> None:
        """Queue a command; never blocks."""
        self._commands.append(command)
        self.idle = False
        if isinstance(command, Hear):
            self._audio += command.size
            while self._audio > self._limit:
                self._drop_oldest()
        self._filled.set()

    async def get(self) -> AgentCommand:
        """Wait for the next command."""
        while not self._commands:
            self._filled.clear()
            self.idle = True
            await self._filled.wait()
        command = self._commands.popleft()
        if isinstance(command, Hear):
            self._audio -= command.size
        return command

    def take_dropped(self) -> int:
        """Return how many bytes of audio were dropped since this was last asked."""
        dropped, self._dropped = self._dropped, 0
        return dropped

    def _drop_oldest(self) -> None:
        for index, command in enumerate(self._commands):
            if isinstance(command, Hear):
                del self._commands[index]
                self._audio -= command.size
                self._dropped += command.size
                return
