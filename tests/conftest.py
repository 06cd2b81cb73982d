"""Options of the whole suite, and what its processes inherit."""

import signal

import pytest

# Under nohup, or in the background of a shell, these are ignored, and whatever a test starts would ignore them too.
for each in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(each) is signal.SIG_IGN:
        signal.signal(each, signal.default_int_handler if each is signal.SIGINT else signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    chaos = parser.getgroup("chaos")
    chaos.addoption("--chaos-long", type=int, metavar="KILLS", default=None, help="kill so often in random kills")
    chaos.addoption("--chaos-seed", type=int, metavar="N", default=None, help="repeat the random kills of this seed")
