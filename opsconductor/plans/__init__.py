"""A plan as people, forges and programs read it."""
