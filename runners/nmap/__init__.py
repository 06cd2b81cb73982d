"""Scanning networks by the program nmap: what it is asked, and what it reports."""
