"""The page of the reference that lists the metrics."""

from opsconductor.metrics.described import METRICS, OTHERS, OWN_SERIES, Described

_HEAD = f"""# Metrics

What `/metrics` of the dashboard's address shows; `process_*` (memory, open files, processor time) come with it.
[How to monitor](../how-to/monitor.md) has a scrape configuration, alert rules and a Grafana dashboard.

- Durations are in seconds, sizes in bytes, moments are Unix times.
- No label names a run, a target or a person. `kind` is `job` or `workflow`, and `name` is its name. They have series of
  their own as long as the commit in force has them, the first {OWN_SERIES} of them by name; the others are summed as
  `name="{OTHERS}"`, and `opsconductor_jobs_without_series` says how many those are. That sum only grows while the
  process lives, also where a commit changes whose it is; after a restart it begins as the sum of those of then.
- What is marked "journal" is counted in the journal, with what it counts: it outlasts restarts, and goes back to nought
  only where the store is lost. What is marked "process" begins at nought with the process. Gauges show what is now.
- What the journal says is absent while the journal cannot be read.

| metric | type | labels | kept by | |
|---|---|---|---|---|
"""


def metrics_page() -> str:
    """The page as Markdown."""
    return _HEAD + "".join(_row(each) for each in sorted(METRICS, key=lambda each: each.name))


def _row(each: Described) -> str:
    labels = ", ".join(f"`{label}`" for label in each.labels)
    kept = each.source if each.kind != "gauge" else ""
    return f"| `{each.name}` | {each.kind} | {labels} | {kept} | {each.text} |\n"
