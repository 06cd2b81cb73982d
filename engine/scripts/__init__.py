"""Scripts as text: where a value may stand in them, how it is read there, and how it is bound instead of spliced."""
