"""Trying connections: log in and do something harmless, at many places at once."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from engine.runs.pinned import PinnedTarget
from engine.runs.trials import Trial, Trials
from runners.certificates import with_certificates
from runners.connections import Answered, NotSent, Probe, Refused, Site, Unreached, Unusable
from runners.connections.ways import Ways
from runners.doors import NoPart
from runners.judging import bounded
from runners.keyring import Keyring
from runners.masking import Masker
from runners.repository import Read
from runners.secrets import Sealed, Secrets

AT_ONCE = 50
LONGEST = 100.0
"""Seconds that one trial may take; a connection ends its own before that."""


@dataclass(frozen=True, slots=True)
class Tried:
    """How a trial ended. `said` is one line: what the place answered, or why it did not. `seconds` is how long."""

    target: str
    connection: str
    good: bool
    said: str
    seconds: float


async def tried(
    wanted: Trials, ways: Ways, secrets: Secrets, read: Read, *, told: Callable[[Tried], None] = lambda _: None
) -> tuple[Tried, ...]:
    """Try them, AT_ONCE at a time, each told as it ends; in the order of the trials."""
    masker = Masker()
    keys = Keyring(replace(secrets, for_jobs=False), masker)
    await asyncio.to_thread(keys.open_all, wanted.plan)
    jumps = {target.name: target for target in wanted.plan.jumps}
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(trial: Trial) -> Tried:
        async with slots:
            began = asyncio.get_running_loop().time()
            target = await asyncio.to_thread(with_certificates, trial.target, read)
            found = await _probed(ways, trial.connection, target, keys, jumps)
            took = round(asyncio.get_running_loop().time() - began, 3)
        said = found.said if isinstance(found, Answered) else found.error
        line = bounded(" ".join(masker.mask(said).split()))
        result = Tried(target.name, trial.connection, isinstance(found, Answered), line, took)
        told(result)
        return result

    return tuple(await asyncio.gather(*(one(trial) for trial in wanted.wanted)))


async def _probed(ways: Ways, name: str, target: PinnedTarget, keys: Keyring, jumps: dict[str, PinnedTarget]) -> Probe:
    try:
        async with asyncio.timeout(LONGEST):
            return await ways.get(name).probe(Site(target, keys.get, jumps=jumps))
    except TimeoutError:
        return NotSent(f"no answer within {LONGEST:.0f} s")
    except (NoPart, Sealed, Unusable) as error:
        return Refused(str(error))
    except Unreached as error:
        return NotSent(str(error))
