"""Recordings of calls: both channels on the caller's clock, written as the call goes on."""
