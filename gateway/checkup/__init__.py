"""Finds out what keeps a first call from working, before a caller does: ``gateway doctor``."""
