"""The call doctor: deterministic rules over the record of a call, which say what went wrong and what to change."""
