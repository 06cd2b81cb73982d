"""Calling tools of MCP servers: the tool and its digest, the ways to a server, and the conversation with it."""
