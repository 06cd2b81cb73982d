"""Exit codes (CONTRACT 1), in one place, and the error that has one of its own."""

OK = 0
FINDINGS = 1
"""Findings, a failed run, or nothing found."""
USAGE = 2
STILL_OPEN = 3
BUG = 70
INTERRUPTED = 130


class UsageError(Exception):
    """The words of the call do not fit; the message says what does. Exit code 2."""
