"""After a call: what it came to, and telling people and systems."""
