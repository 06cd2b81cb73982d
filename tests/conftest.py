"""Options of the whole suite."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    chaos = parser.getgroup("chaos")
    chaos.addoption("--chaos-long", type=int, metavar="KILLS", default=None, help="kill so often in random kills")
    chaos.addoption("--chaos-seed", type=int, metavar="N", default=None, help="repeat the random kills of this seed")
