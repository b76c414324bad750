"""Sound as bytes: pure functions, no I/O."""
