"""What waits for commits of other processes, where a process has many connections."""

import os
import resource
import socket

from sqlalchemy import create_engine

from journal.databases.listener import Listener


def test_a_descriptor_beyond_a_thousand_is_waited_for_too() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    mine, theirs = socket.socketpair()
    high = socket.socket(fileno=os.dup2(mine.fileno(), 2000))
    listener = Listener(create_engine("sqlite://"), "own", lambda: None)
    try:
        theirs.send(b"x")
        assert listener._is_ending(5.0, high) is False  # type: ignore[arg-type]
    finally:
        for one in (mine, theirs, high):
            one.close()
        listener.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
