"""Walking a loop: its items, in their order as far as they begin, each by a walk of its own."""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.expressions.expression import ExpressionError
from engine.runs.outcome import Output
from engine.runs.pinned import PlannedStep
from engine.runs.progress import counts_as_success
from engine.states import StepState
from journal.errors import FenceLost
from journal.steps import StepEnd
from runners.judging import record_of
from runners.loops import Items, items_of, judged
from runners.record import Unwritten

if TYPE_CHECKING:
    from runners.walk import Walk


async def done(walk: "Walk", step: PlannedStep) -> bool:
    """Do a step for each of its items. False where another runner is to go on."""
    record = walk.work.record
    begun = (step.phase, step.id) in walk.records
    if not begun and walk.work.orders.draining:
        return False
    walk.enter(step)
    place = walk.place()
    try:
        items = items_of(step, place, begun=begun)
    except ExpressionError as error:
        ended = StepEnd(StepState.FAILED, error=error.message, continued=step.continue_on_error)
        await (record.end if begun else record.start_and_end)(walk.name, step, 1, ended)
        walk.know(record_of(step, 1, ended, Output()))
        return True
    if items is None:
        walk.know(await record.skip(walk.name, step, 1, ""))
        return True
    if not begun and not await record.start(walk.name, step, 1):
        walk.know(await walk.lose(step, 1))
        return True
    began = walk.now()
    walks = await _walk_items(walk, step, items)
    if walks is None:
        return False
    ended = judged(step, [one.of_item for one in walks], [one.state for one in walks])
    ended = replace(ended, duration=round(walk.now() - began, 3))
    await record.end(walk.name, step, 1, ended)
    walk.leave(step)
    walk.know(record_of(step, 1, ended, Output()))
    return True


async def _walk_items(walk: "Walk", step: PlannedStep, items: Items) -> "list[Walk] | None":
    """Walk the items, in their order as far as they begin. None where another runner is to go on."""
    slots = asyncio.Semaphore(items.loop.max_parallel)
    walks = [walk.item(step, index, items) for index in range(len(items.values))]
    stopped = False

    async def visit(one: "Walk") -> None:
        nonlocal stopped
        async with slots:
            if stopped and not one.records:
                one.state = StepState.SKIPPED
                return
            try:
                one.state = await one.run()
            except (FenceLost, Unwritten):
                walk.work.abandon()
            item = one.of_item
            stopped = stopped or (not step.continue_on_error and item is not None and not counts_as_success(item))

    async with asyncio.TaskGroup() as group:
        for one in walks:
            group.create_task(visit(one))
    return None if any(one.state is None for one in walks) else walks
