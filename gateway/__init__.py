"""A gateway between phone lines and realtime voice agents."""

__version__ = "0.1.0"
