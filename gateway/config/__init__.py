"""Lines: who answers which number, and how. Read from a folder, checked whole, swapped whole."""
