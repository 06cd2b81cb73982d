"""What a runner shows of itself to whoever asks how it is (`opsconductor.service.runnerhealth`)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pulse:
    """Moments are seconds of one monotonic clock; one that has not come yet is minus infinity."""

    now: float
    begun: bool
    """Whether it may work: nothing of an earlier runner on its state runs on this host any more."""
    tried: float
    """When it last looked for work, whether or not the journal answered."""
    heard: float
    """When the journal answered such a look last."""
    unrenewed: float
    """Seconds since the leases of its runs were renewed; 0 where it has none."""
    draining: bool
