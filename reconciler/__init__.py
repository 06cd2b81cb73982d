"""The loop: read a commit, judge it, decide what it causes, record that once, publish what happened."""
