"""Every metric that there is: its name, kind, labels and meaning. What is not here is not shown; the docs list this.

No label holds the name of a run, a target or a person. Of jobs and workflows the first OWN_SERIES by name, as the
commit in force has them, have series of their own; all others are summed as OTHERS.
"""

from dataclasses import dataclass
from typing import Literal

PREFIX = "opsconductor_"
OWN_SERIES = 300
OTHERS = "(others)"
"""No job, pool or channel can be called so."""

Kind = Literal["gauge", "counter", "histogram"]
Source = Literal["journal", "process"]
"""What the journal has counted outlasts restarts; what a process counts begins at nought with it."""


@dataclass(frozen=True, slots=True)
class Described:
    """A metric. A counter's name is as it is shown, with `_total`."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    text: str
    source: Source = "journal"


_JOB = ("name", "kind")
# Not "job": that label is the scrape job's, and Prometheus would call ours exported_job.
_GAUGES = (
    ("build_info", ("version",), "1, with the version of the program."),
    ("start_time_seconds", (), "When this process began, as a Unix time."),
    ("ready", (), "1 where /readyz says that it does its work, else 0."),
    ("claim_held", (), "1 where the status branch is this engine's, as far as is known, else 0."),
    ("loop_age_seconds", (), "How long ago the engine's event loop turned last. More than 15 s: it is stuck."),
    ("reconcile_age_seconds", (), "How long ago the last whole pass was made; absent before the first."),
    ("source_age_seconds", (), "How long ago the source was seen last; absent before the first time."),
    ("commit_info", ("role", "commit"), "1, with the commit in force (role applied) and the branch's head (observed)."),
    ("commit_in_force", (), "1 where the head of the branch is in force, 0 where the last good commit stays instead."),
    ("findings", ("severity",), "Findings of validation in the observed commit."),
    ("definitions", ("kind",), "Documents in force, by kind."),
    ("runs_open", (*_JOB, "state"), "Runs that have not ended, by state."),
    ("job_last_success_timestamp_seconds", _JOB, "When a run of the job last succeeded, as a Unix time; absent before the first."),  # noqa: E501
    ("job_last_failure_timestamp_seconds", _JOB, "When a run of the job last ended as anything but succeeded or cancelled, as a Unix time."),  # noqa: E501
    ("job_consecutive_failures", _JOB, "How many runs of the job in a row have failed, up to the newest."),
    ("jobs_without_series", (), f"Jobs and workflows that are summed as `{OTHERS}`: those past the first {OWN_SERIES} by name."),  # noqa: E501
    ("queue_runs", ("pool",), "Runs that wait for a runner of the pool."),
    ("queue_oldest_seconds", ("pool",), "How long the oldest of them has waited; 0 where none does."),
    ("gates_open", (), "Gates of workflows that wait for somebody's word."),
    ("leads", (), "1 where this controller leads those of its database, or is alone, else 0."),
    ("controllers", ("state",), "Controllers of the database, by what they do: leads, standsBy, lost. Absent where there is one process."),  # noqa: E501
    ("runners", ("pool",), "Runners at work, of this process or, where several share a database, of all; pool `*` serves every pool. One that serves several pools counts in each."),  # noqa: E501
    ("runners_lost", (), "Runners of the database that have given no sign of life for a lease, and did not stop in order. Absent where there is one process."),  # noqa: E501
    ("runner_up", ("runner", "pools"), "Each runner of the database, the first 200 by name: 1 while it gives signs of life, 0 once it has given none for a lease, until it is forgotten after a day. One that stops in order has none. Absent where there is one process."),  # noqa: E501
    ("runner_runs", ("pool",), "Runs that they work on."),
    ("runner_capacity", ("pool",), "Runs that they take at once."),
    ("outbox_lag_entries", ("consumer",), "Changes that a consumer (`status`, `logs` of --logs) has not dealt with; runs whose logs are set aside (`logs.aside`) or not yet removed (`logs.gone`) where logs are kept."),  # noqa: E501
    ("messages_open", ("channel", "state"), "Messages that were not delivered: yet, or (state dead) for good."),
    ("messages_oldest_seconds", ("channel", "state"), "How old the oldest of them is."),
    ("store_bytes", ("file",), "Size of the journal (`journal`) and of its write-ahead log (`wal`). Absent where it is in a database."),  # noqa: E501
    ("state_free_bytes", (), "Space that is left where the state folder lies."),
)  # fmt: skip
_COUNTERS = (
    ("runs_finished_total", (*_JOB, "state"), "Runs that have ended, by the state they ended in. Dry runs are none."),
    ("due_instants_total", ("decision", "reason"), "Due instants of schedules, by what was decided and why."),
    ("outbox_entries_total", ("consumer",), "Changes that a consumer (`status`, `logs` of --logs) has dealt with. While it grows, a lag is only that of somebody at work."),  # noqa: E501
)  # fmt: skip
_HISTOGRAMS = (
    ("run_duration_seconds", _JOB, "How long runs took, from their start to their end."),
    ("run_lateness_seconds", ("pool",), "How much later than due runs started, by pool."),
)
_OF_THE_PROCESS = (
    ("reconcile_duration_seconds", (), "How long passes took: definitions, schedules, requests, queues."),
    ("git_duration_seconds", ("operation", "outcome"), "How long git took to ask (`poll`), fetch and push."),
)

METRICS: tuple[Described, ...] = (
    *(Described(f"{PREFIX}{name}", "gauge", labels, text) for name, labels, text in _GAUGES),
    *(Described(f"{PREFIX}{name}", "counter", labels, text) for name, labels, text in _COUNTERS),
    *(Described(f"{PREFIX}{name}", "histogram", labels, text) for name, labels, text in _HISTOGRAMS),
    *(Described(f"{PREFIX}{name}", "histogram", labels, text, "process") for name, labels, text in _OF_THE_PROCESS),
)
BY_NAME = {each.name: each for each in METRICS}
