"""Expressions, `${{ ... }}`: their grammar, their types, what they may cost, and what they read."""
