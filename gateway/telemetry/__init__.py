"""What the gateway says of itself: logs, and what must not stand in them."""
