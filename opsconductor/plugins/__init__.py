"""What plug-ins are written with. These names are public: they stay, or a changelog says what replaces them.

A plug-in is a package with entry points in one of these groups:

- `opsconductor.steps`: factories that take nothing and give a `StepType`. The file `step_types.yaml` beside the
  package's modules declares their inputs and outputs.
- `opsconductor.connections`: factories that take `ConnectionSettings` and give a `Connection`.
- `opsconductor.secrets`: factories that take `SecretSettings` and give a `SecretSource`.
- `opsconductor.channels`: factories that take `ChannelSettings` and give a `Channel`.

`opsconductor.plugins.contract` has the tests that every part must pass. docs/how-to/write-a-plug-in.md shows the way.
"""

from engine.runs.outcome import Cancelled, Failed, Outcome, Output, Succeeded, TimedOut, Unknown, Unreachable
from engine.runs.pinned import PinnedTarget as Target
from runners.bootstrap import Command
from runners.connections import (
    GRACE,
    PROOF,
    Answered,
    Connection,
    Ended,
    Exited,
    Finish,
    Limits,
    Lost,
    NotSent,
    Probe,
    Refused,
    Session,
    Site,
    Stop,
    Unreached,
    Unusable,
)
from runners.connections.files import FileFacts, FileRefused, Files, FileSession
from runners.connections.ways import Settings as ConnectionSettings
from runners.deliveries import Channel, Delivered, Delivery, Later, Message, Never
from runners.deliveries import Limits as ChannelSettings
from runners.limits import Capture
from runners.repository import Entry, NoFile, NoRepository, RunFiles
from runners.secrets import Opened, Sealed
from runners.secrets.sources import SecretSource
from runners.secrets.sources import Settings as SecretSettings
from runners.steps import Around, ReadyStep, StepType
from runners.steps.script import ended_by
from runners.steps.script import outcome_of as outcome_of_command
from schemas.target import Connections

__all__ = [
    "GRACE",
    "PROOF",
    "Answered",
    "Around",
    "Cancelled",
    "Capture",
    "Channel",
    "ChannelSettings",
    "Command",
    "Connection",
    "ConnectionSettings",
    "Connections",
    "Delivered",
    "Delivery",
    "Ended",
    "Entry",
    "Exited",
    "Failed",
    "FileFacts",
    "FileRefused",
    "FileSession",
    "Files",
    "Finish",
    "Later",
    "Limits",
    "Lost",
    "Message",
    "Never",
    "NoFile",
    "NoRepository",
    "NotSent",
    "Opened",
    "Outcome",
    "Output",
    "Probe",
    "ReadyStep",
    "Refused",
    "RunFiles",
    "Sealed",
    "SecretSettings",
    "SecretSource",
    "Session",
    "Site",
    "StepType",
    "Stop",
    "Succeeded",
    "Target",
    "TimedOut",
    "Unknown",
    "Unreachable",
    "Unreached",
    "Unusable",
    "ended_by",
    "outcome_of_command",
]
