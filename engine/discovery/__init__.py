"""From what a scan saw to proposed Target documents. Pure; whatever comes from a host is data, cleaned and bounded."""
