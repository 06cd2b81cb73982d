"""`validate`: a folder or a commit looked at whole, on all cores, and what it said of the same files before."""
