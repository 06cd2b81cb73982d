"""Graphs of jobs: planned, led from node to node, rehearsed and repeated."""
