"""Runs the program with shorter times, or without one of its safeguards (`tests.chaos.sabotage`).

The program itself has no such switches: what is changed here is changed in this process, from outside.
CHAOS_LEASE, CHAOS_PRUNE_EVERY and CHAOS_PUBLISH_EVERY are seconds, CHAOS_SABOTAGE names a safeguard.
"""

import os
from datetime import timedelta


def prepare() -> None:
    """Change what the environment says. Called before anything else of the program is imported."""
    from journal import leases

    if seconds := os.environ.get("CHAOS_LEASE"):
        # Others copy it when they are imported, which is later.
        leases.LEASE = timedelta(seconds=float(seconds))
        leases._SECONDS = float(seconds)
    if safeguard := os.environ.get("CHAOS_SABOTAGE"):
        from tests.chaos import sabotage

        sabotage.remove(safeguard)
    if seconds := os.environ.get("CHAOS_PRUNE_EVERY"):
        from opsconductor.service import showing

        assert showing._PRUNE_EVERY, "it has another name by now"
        showing._PRUNE_EVERY = timedelta(seconds=float(seconds))
    if seconds := os.environ.get("CHAOS_PUBLISH_EVERY"):
        from reconciler.publication import publish

        publish.PATH_INTERVAL = timedelta(seconds=float(seconds))


if __name__ == "__main__":
    prepare()
    from opsconductor.cli.main import run

    run()
