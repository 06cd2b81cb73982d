"""What a target declares of the ways to reach it."""

import pytest

from schemas.target import Connections


@pytest.mark.parametrize(
    ("given", "declared"),
    [
        ({}, ()),
        ({"ssh": {"hostKeys": []}, "rdp": {}}, ("ssh", "rdp")),
        ({"local": {}, "plugins": {"sample.shell": {"folder": "/srv"}}}, ("local", "sample.shell")),
        ({"plugins": {}}, ()),
    ],
)
def test_connections_are_named_one_by_one(given: dict[str, object], declared: tuple[str, ...]) -> None:
    assert Connections.model_validate(given).declared == declared
