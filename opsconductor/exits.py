"""Exit codes (CONTRACT 1), in one place."""

OK = 0
FINDINGS = 1
"""Findings, a failed run, or nothing found."""
USAGE = 2
STILL_OPEN = 3
BUG = 70
INTERRUPTED = 130
