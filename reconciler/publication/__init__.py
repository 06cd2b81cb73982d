"""The status branch: who owns it, how it is drawn and pushed, and how a store is rebuilt from it."""
