"""Everything there is, said to have changed: for a consumer that must show the whole journal anew."""

from sqlalchemy import Connection, func, select

from engine.runs.pinned import RUNNER
from journal import outbox, schedules
from journal.databases.noticetables import channels, messages
from journal.databases.tables import acts, discoveries, events, facts, nodes, run_targets, runs
from journal.databases.tables import schedules as clocks
from journal.facts import TESTED


def announce(tx: Connection) -> None:
    """Put every object into the outbox. What changes most and is looked at most comes first, and the newest of it.

    However much history there is, none of it passes through this process.
    """
    outbox.add_selected(tx, "job", select(runs.c.known_as).where(~runs.c.workflow).distinct())
    outbox.add_selected(tx, "workflow", select(runs.c.known_as).where(runs.c.workflow).distinct())
    outbox.add_selected(
        tx, "gate", select(nodes.c.digest).where(nodes.c.digest.is_not(None), nodes.c.ended_at.is_(None))
    )
    outbox.add_selected(tx, "target", select(run_targets.c.target).where(run_targets.c.target != RUNNER).distinct())
    tested = func.substr(facts.c.key, len(TESTED) + 1)
    outbox.add_selected(tx, "target", select(tested).where(facts.c.key.startswith(TESTED, autoescape=True)))
    outbox.add_selected(tx, "schedule", select(clocks.c.name))
    outbox.add_selected(tx, "discovery", select(discoveries.c.name))
    outbox.add_selected(tx, "trigger", select(events.c.trigger).distinct())
    # Those of the commit in force too: of one without messages a file may be left of a store that was lost.
    outbox.add_selected(tx, "channel", select(channels.c.name))
    outbox.add_selected(tx, "channel", select(messages.c.channel).distinct())
    outbox.add_all(tx, tuple(("decision", day.isoformat()) for day in schedules.days(tx)))
    outbox.add_selected(tx, "run", select(runs.c.id).order_by(runs.c.seq.desc()))
    answered = select(acts.c.name).where(acts.c.state.is_not(None))
    outbox.add_selected(tx, "request", answered.order_by(acts.c.settled_at.desc()))
