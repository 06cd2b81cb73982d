"""What scans found, inventories listed and runs gathered: proposed on a branch, for people to merge."""
