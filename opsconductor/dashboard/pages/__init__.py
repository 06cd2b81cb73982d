"""The pages, in the order of the navigation."""

from opsconductor.dashboard.pages import (
    badge,
    feed,
    grid,
    health,
    job,
    keys,
    kinds,
    log,
    logs,
    now,
    run,
    runs,
    schedule,
    sync,
    targets,
    wallboard,
)
from opsconductor.dashboard.pages.page import File, Page

PAGES: tuple[Page, ...] = (
    now.PAGE,
    grid.PAGE,
    schedule.PAGE,
    job.JOB,
    job.WORKFLOW,
    runs.PAGE,
    run.PAGE,
    log.PAGE,
    logs.PAGE,
    *targets.PAGES,
    sync.PAGE,
    health.PAGE,
    *kinds.PAGES,
    wallboard.PAGE,
    keys.PAGE,
)
FILES: tuple[File, ...] = (schedule.ICS, feed.FEED, badge.BADGE)
"""What is no page."""
