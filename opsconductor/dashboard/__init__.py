"""The dashboard: pages that show what is, and JSON beside each. Nothing here can change anything."""
