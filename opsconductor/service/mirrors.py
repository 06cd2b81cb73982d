"""The mirrors of an engine: of its source, and of the repository that the status goes to."""

import os

from opsconductor.settings import Settings
from reconciler.repository.mirror import Mirror


class Mirrors:
    """Both in the state folder; they are one where the status goes to the source itself."""

    def __init__(self, settings: Settings) -> None:
        self.source = Mirror(settings.state.mirror, settings.source.text, environment=os.environ)
        remote = settings.status_remote
        self.status = (
            Mirror(settings.state.root / "status.git", remote, environment=os.environ) if remote else self.source
        )

    @property
    def one(self) -> bool:
        """Whether the status goes to the source itself."""
        return self.status is self.source

    def close(self) -> None:
        self.source.close()
        self.status.close()
