"""Work that makes much and no garbage."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_PORTION = 5_000
"""New things after which the young ones are looked through; Python's own choice is 700."""


@contextmanager
def uncollected() -> Iterator[None]:
    """Look for no garbage meanwhile, nor ever in what is made meanwhile.

    Modules and documents are kept to the end and hold no circles: going through them again and again takes a third of
    the time of making them.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.freeze()
            gc.enable()


def settled() -> None:
    """Look for no garbage any more in what there is by now: the program, and the definitions in force.

    Call it where much was made that stays: at a start, and for each commit that came into force. Going through a
    hundred thousand things that stay takes a tenth of a second, in which nothing else is done, and a few pages of the
    dashboard or a run on fifty targets make enough for that. Definitions hold no circles, so those that a later commit
    replaced go by themselves. What comes is looked through in larger portions: most of what a step leaves behind is no
    circle either.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_PORTION, 10, 10)
