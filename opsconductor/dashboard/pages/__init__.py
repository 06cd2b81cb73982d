"""The pages, in the order of the navigation."""

from opsconductor.dashboard.pages import grid, job, kinds, log, now, run, targets
from opsconductor.dashboard.pages.page import Page

PAGES: tuple[Page, ...] = (
    now.PAGE,
    grid.PAGE,
    job.JOB,
    job.WORKFLOW,
    run.PAGE,
    log.PAGE,
    *targets.PAGES,
    *kinds.PAGES,
)
