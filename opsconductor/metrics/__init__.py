"""What Prometheus scrapes: counts and times of the journal, and how the engine is."""
