"""The credentials of one run, opened once and together, so that each is masked everywhere from the first step on."""

from collections.abc import Callable, Mapping
from datetime import datetime

from engine.expiry import has_expired
from engine.runs.pinned import PinnedSpec
from runners.masking import Masker
from runners.secretforms import TooShort
from runners.secrets import Opened, Sealed, Secrets
from schemas.credential import CredentialSpec


class Keyring:
    """What a run's plan reaches. `masker` learns every secret that is opened. What is handed out is remembered by name
    and target until somebody records it."""

    def __init__(self, secrets: Secrets, masker: Masker) -> None:
        self._secrets = secrets
        self._masker = masker
        self._opened: dict[str, Opened | Sealed] = {}
        self._used: set[tuple[str, str]] = set()
        self._unrecorded: list[tuple[str, str]] = []
        self._specs: Mapping[str, CredentialSpec] = {}

    def open_all(self, plan: PinnedSpec, pool: str | None = None) -> None:
        """Open every credential of the plan, for the pool that works on it; None where no pool does.

        One that cannot be opened is no error here: whoever needs it, fails.
        """
        self._specs = plan.credentials
        for name, spec in plan.credentials.items():
            try:
                opened = self._secrets.open(name, spec, labels=plan.labels, pool=pool, sealed=plan.sealed.get(name))
                for secret in opened.secrets:
                    self._masker.add(secret)
                self._opened[name] = opened
            except TooShort as error:
                self._opened[name] = Sealed(f"credential '{name}': {error}")
            except Sealed as error:
                self._opened[name] = error

    def get(self, name: str) -> Opened:
        """An opened credential. Raises Sealed with the reason why it is not."""
        found = self._opened.get(name)
        if found is None:
            raise Sealed(f"credential '{name}' is not in the run's plan")
        if isinstance(found, Sealed):
            raise Sealed(str(found))
        return found

    def opener(self, target: str) -> Callable[[str], Opened]:
        """`get` for what is done at one target."""

        def get(name: str) -> Opened:
            found = self.get(name)
            if (target, name) not in self._used:
                self._used.add((target, name))
                self._unrecorded.append((target, name))
            return found

        return get

    def expired(self, name: str, now: datetime) -> bool:
        """Whether it says of itself that it has stopped working."""
        return name in self._specs and has_expired(self._specs[name], now)

    def take_uses(self) -> tuple[tuple[str, str], ...]:
        """What was handed out since this was last asked, as (target, credential); whoever asks records it."""
        taken, self._unrecorded = tuple(self._unrecorded), []
        return taken

    def give_back(self, uses: tuple[tuple[str, str], ...]) -> None:
        """They could not be recorded."""
        self._unrecorded = [*uses, *self._unrecorded]
