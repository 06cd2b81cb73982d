"""Every part keeps what the contract promises. Run with pytest, the package installed beside opsconductor."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opsconductor.plugins import Connections, SecretSettings, Site, Target
from opsconductor.plugins.contract import (
    ChannelContract,
    ConnectionContract,
    SecretContract,
    StepContract,
    sealed,
)


class TestGreet(StepContract):
    name = "sample.greet"


class TestLoad(StepContract):
    name = "sample.load"


class TestShell(ConnectionContract):
    name = "sample.shell"

    def site(self) -> Site:
        return at("/")

    def nowhere(self) -> Site:
        return at("/nowhere/at/all")


class TestNetrc(SecretContract):
    name = "sample.netrc"

    def settings(self) -> SecretSettings:
        return SecretSettings(self.folder, {})

    def known(self) -> tuple[Any, Mapping[str, str]]:
        return {"machine": "db"}, {"username": "ops", "password": "a-long-password"}

    def unknown(self) -> tuple[Any, ...]:
        return {"machine": "other"}, {}, None, "db"

    def setup_method(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        file = self.folder / "netrc"
        file.write_text("machine db login ops password a-long-password\n")
        file.chmod(0o600)


class TestSpool(ChannelContract):
    name = "sample.spool"

    def setup_method(self) -> None:
        self.folder = Path(tempfile.mkdtemp())

    def settings(self) -> Mapping[str, Any]:
        return {"folder": str(self.folder)}

    def received(self) -> list[str]:
        return [file.stem for file in sorted(self.folder.glob("*.json"))]

    def nowhere(self) -> Mapping[str, Any]:
        return {"folder": "/nowhere/at/all"}


def at(folder: str) -> Site:
    connections = Connections.model_validate({"plugins": {"sample.shell": {"folder": folder}}})
    return Site(Target("web-01", connections=connections), sealed)
