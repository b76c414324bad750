"""The agent's side of a call: the only folder that imports the Agents SDK, whose import takes seconds."""
