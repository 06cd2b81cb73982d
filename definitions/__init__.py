"""Sample installations, as data: what `opsconductor init` writes."""
