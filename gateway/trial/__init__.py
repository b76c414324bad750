"""A scripted caller against a line, through the real gateway: ``gateway try``."""
