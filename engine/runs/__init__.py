"""What a run does: planned whole, gone through step by step, rehearsed, repeated and resumed."""
