"""Sides towards the phone network."""
