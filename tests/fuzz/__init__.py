"""Fuzzing: whatever bytes come, the answer is a value or a finding, never a crash.

`python -m tests.fuzz TARGET` replays the corpus and some thousand seeded mutations of it; the ordinary tests do the
same with fewer. `--long SECONDS` goes on with atheris, which sees which code an input reaches.
"""
