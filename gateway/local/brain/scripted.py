"""The scripted brain."""

from __future__ import annotations

from gateway.local.brain.turn import Question, Reply


class ScriptedBrain:
    """Rules."""

    name = "scripted"

    async def reply(self, question: Question) -> Reply:
        """Answer."""
        said = next((line.text for line in reversed(question.lines) if line.role == "user"), "")
        return Reply(f"You said: {said}. How can I help you with that today?")
