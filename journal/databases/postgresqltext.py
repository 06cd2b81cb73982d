"""Text as PostgreSQL takes it."""

NUL = "\N{SYMBOL FOR NULL}"
"""What is written for the character NUL, which PostgreSQL does not take in text."""


def without_nul(text: str) -> str:
    return text.replace("\0", NUL)
