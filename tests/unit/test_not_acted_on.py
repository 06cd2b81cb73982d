"""OC902 names what a document says and this version leaves aside, and nothing that it acts on."""

import pytest

from engine.compile import compile_files
from schemas.reader import read
from tests.catalogs import HEAD, PROJECT

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("{email: ana@example.org, teams: [web]}", []),
        (f"{{email: ana@example.org, signingKeys: [{KEY}]}}", []),
        ("{notify: {onSuccess: true}}", []),
    ],
)
def test_of_a_user_what_gates_read_is_acted_on(spec: str, told: list[str]) -> None:
    user = f"{HEAD}kind: User\nmetadata: {{name: ana}}\nspec: {spec}\n"
    files = [read(PROJECT.encode(), "opsconductor.yaml"), read(user.encode(), "definitions/ana.yaml")]
    found = [one for one in compile_files("c" * 40, files).findings if one.code == "OC902"]
    assert [one.message for one in found] == told
    assert {one.severity for one in found} <= {"warning"}
