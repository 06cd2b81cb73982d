"""What the engine does about garbage, in a process of its own: it lasts for the life of one."""

import subprocess
import sys

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
