"""The pages, in the order of the navigation."""

from opsconductor.dashboard.pages import grid, health, job, kinds, log, now, run, schedule, sync, targets
from opsconductor.dashboard.pages.page import File, Page

PAGES: tuple[Page, ...] = (
    now.PAGE,
    grid.PAGE,
    schedule.PAGE,
    job.JOB,
    job.WORKFLOW,
    run.PAGE,
    log.PAGE,
    *targets.PAGES,
    sync.PAGE,
    health.PAGE,
    *kinds.PAGES,
)
FILES: tuple[File, ...] = (schedule.ICS,)
"""What is no page."""
