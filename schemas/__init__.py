"""The language users write: document models, positions, diagnostics and the guard that reads YAML.

Nothing here opens a file, a socket or a clock; everything takes bytes or values and returns values.
"""
