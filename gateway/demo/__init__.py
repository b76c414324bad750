"""One call on this machine, from a caller's mouth to a caller's ear: what ``gateway demo`` shows."""
