"""The source's repository: fetched into a mirror, read without a work tree, written in memory."""
