"""Whose word counts: signatures, keys, the chain of trust, and what the Policies in force let pass."""
