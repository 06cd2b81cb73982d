"""The pages, in the order of the navigation."""

from opsconductor.dashboard.pages import kinds, log, now, run
from opsconductor.dashboard.pages.page import Page

PAGES: tuple[Page, ...] = (now.PAGE, run.PAGE, log.PAGE, *kinds.PAGES)
