"""What answers: rules that read the session's own tools, or a chat endpoint."""
