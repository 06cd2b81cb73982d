"""What the engine does about garbage, in a process of its own: it lasts for the life of one."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

_SETTLED = """
import gc, weakref
from opsconductor.checking.garbage import settled

class Circle:
    def __init__(self):
        self.own = self

stays = [Circle() for _ in range(1_000)]
before = weakref.ref(Circle())
settled()
assert before() is None, "garbage of before is still there"
assert gc.get_freeze_count() > 1_000
assert len(gc.get_objects()) < 1_000, "what stays is looked through again"
after = weakref.ref(Circle())
gc.collect()
assert after() is None, "new garbage is not found"
"""


def test_what_stays_is_looked_through_no_more_and_new_garbage_is_found() -> None:
    subprocess.run([sys.executable, "-c", _SETTLED], check=True)


_REPLACED = """
import gc, weakref
from opsconductor.checking.garbage import settled
from tests.catalogs import catalog, local_target

in_force = catalog(*(local_target(f"web-{number}") for number in range(50)))
settled()
gc.disable()
before, kept = weakref.ref(in_force.targets["web-1"]), gc.get_freeze_count()
in_force = catalog(*(local_target(f"web-{number}") for number in range(50)))
assert before() is None, "definitions hold a circle: those of each commit would stay for good"
settled()
assert gc.get_freeze_count() < kept + 100, (kept, gc.get_freeze_count())
"""


def test_definitions_that_another_commit_replaced_go_by_themselves() -> None:
    """Else whoever settles with each commit would grow with each."""
    subprocess.run([sys.executable, "-c", _REPLACED], check=True, cwd=ROOT)
