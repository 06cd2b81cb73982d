"""Decisions. Pure: told the time, handed the facts, asked for nothing else; same arguments, same answer."""
