"""Run by the interpreter of Celery's own environment: `celery_noops.py drive|work BROKER NOTES`.

`work` is a worker with the settings that it has by itself, of which messages that last are one, and with priorities;
`drive` sends no-ops and answers what was measured. Nothing is kept of ends. Knows nothing of this project.
"""

# mypy: ignore-errors
import asyncio
import sys
from pathlib import Path

from celery import Celery
from noop_measures import Noted, Notes, serve

app = Celery("noops", broker=sys.argv[2])
app.conf.task_queue_max_priority = 1
app.conf.task_default_priority = 0
app.conf.broker_connection_retry_on_startup = True
notes = Notes(Path(sys.argv[3]))


@app.task(name="noop", ignore_result=True)
def noop(name: str) -> None:
    notes.add(name)


class Sent(Noted):
    async def put(self, names: list[str], *, urgent: bool) -> None:
        for name in names:
            noop.apply_async((name,), priority=1 if urgent else 0)


if __name__ == "__main__":
    if sys.argv[1] == "work":
        app.worker_main(["worker", "--loglevel=ERROR", "--without-mingle", "--without-gossip"])
    else:
        asyncio.run(serve(Sent(notes)))
