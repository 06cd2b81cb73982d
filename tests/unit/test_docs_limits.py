"""The page of limits has the numbers that hold."""

from pathlib import Path

import pytest

from engine import entries, patterns, schemasteps, userschema
from engine.changes import plan_times
from engine.checks import selections, times, triggers, windows
from engine.expressions import bounds, expression, syntax
from engine.runs import concurrency, rehearsal, stage, unfolding, waits
from engine.scripts import binding
from engine.status import placefile, readmodel
from engine.times import cron, rrule
from engine.times.recurrence import HORIZON
from engine.workflows import graphrehearsal
from reconciler.acts import brought, door
from reconciler.repository import objects
from runners import logs, loops, renderer, rendering, repository, scriptfiles, trying
from runners.connections import sshfiles
from runners.listener import bodies, protocol, receiver
from runners.mcp import measure
from runners.steps import sync
from schemas import characters, envelope, guard, job

PAGE = (Path(__file__).parents[2] / "docs" / "limits.md").read_text()
MIB, KIB = 1024 * 1024, 1024
TOGETHER = f"{characters.MAX_BYTES // MIB} MiB each, **{entries.MAX_TOTAL // MIB} MiB together**"

OF_A_CALL = f"{measure.TOTAL // MIB} MiB, {measure.ALL_PARTS:,} parts"


@pytest.mark.parametrize(
    "row",
    [
        f"files of documents | {entries.MAX_FILES:,}, {TOGETHER}",
        f"folders around a file | {entries.MAX_FOLDERS}; {entries.MAX_ENTRIES:,} entries",
        f"who brought a request | {objects._MAX_WALK:,} |",
        f"where acts must be signed | {brought.LONGEST:,}, which change a million",
        f"hold {brought._MOST_BYTES // MIB} MiB of acts, {brought._MOST_VERSIONS:,} of them",
        f"without an answer | {entries.MAX_FILES:,}; {entries.MAX_TOTAL // MIB} MiB; {door.MOST_ACTS:,}.",
        f"of a lost store | {door.MOST_IN_ALL:,}, {door.MOST_IN_ALL:,}; {entries.MAX_TOTAL // MIB} MiB together |",
        f"documents a file | {guard.MAX_DOCUMENTS};",
        f"nodes (collections and scalars) | {guard.MAX_DEPTH}, {guard.MAX_NODES:,} |",
        f"one scalar | {guard.MAX_SCALAR // KIB} KiB",
        f"of the files of a tree | {guard.MAX_FINDINGS}, {entries.MAX_FINDINGS:,};",
        f"`previousNames` | {job.MAX_VARIABLES:,}, {envelope.MAX_PREVIOUS_NAMES} |",
        f"library steps within each other | {unfolding.MAX_STEPS}, {unfolding.MAX_DEPTH} |",
        f"a `pattern` in it | {userschema.MAX_UNFOLDED:,}, {patterns.MAX_PATTERN:,} characters",
        f"as we estimate them | {patterns.MAX_TOGETHER:,} of each",
        f"A pattern has {patterns._OF_ANY} parts, and for each character 1, ",
        f"for `.`, `\\s` or `[^…]` {patterns._OTHERS}, ",
        f"for `\\d` {patterns._DIGITS}, for `\\w` and `\\p{{…}}`, which mean all of Unicode, {patterns._LARGE:,};",
        f"of a cron | {rrule._MAX_TEXT:,}, {cron._MAX_TEXT} characters",
        f"for a first instant, {HORIZON.days // 366} at most of one | {times.YEARS_LOOKED:,};",
        f"windows always block | {windows.MOST_ASKED:,};",
        f"with its JSON Schema | {schemasteps.FREE:,}, and {schemasteps.EACH} for each",
        f"match nothing | {selections.MOST_COMPARED:,};",
        f"a chain of triggers | {triggers.MAX_CHAIN} |",
        f"its expressions filled in | {concurrency.MAX_GROUP} characters",
        f"has its places | the {waits.SHOWN} that are next",
        f"its text | {expression.MAX_EXPRESSION // KIB} KiB; {syntax.MAX_HOLE:,} characters",
        f"in one script | {binding.MAX_HOLES} |",
        f"python3 and PowerShell | {binding.MAX_FOLLOWED:,} characters;",
        f"of their `env` and `stdin` | {binding.MAX_FOLLOWED_TOGETHER // MIB} MiB,",
        f"operators, members or calls) | {syntax.MAX_NESTING}, {syntax.MAX_HEIGHT} |",
        f"that it walks | {bounds.MAX_ITEMS:,};",
        f"all params of a run | {bounds.MAX_TEXT // KIB} KiB",
        f"of a `forEach` | {loops.MAX_ITEMS:,} |",
        f"on the status branch | {placefile.MAX_TAIL // KIB} KiB",
        f"the log of one step | {logs.CAP // MIB} MiB",
        f"of one of its steps, of a workflow | {rehearsal.MOST // KIB} KiB, {stage.MOST_OF_A_STEP // KIB} KiB, "
        f"{graphrehearsal.MOST_OF_A_GRAPH // KIB} KiB;",
        f"a script as a file | {repository.MOST // MIB} MiB, {scriptfiles.MOST // MIB} MiB |",
        f"folders deep | {sshfiles.MOST_LISTED:,}, {sync.MOST:,}; {sync.DEEPEST} |",
        f"its memory | {rendering.MOST // MIB} MiB; {renderer.SECONDS} seconds, {renderer.MEMORY // MIB} MiB |",
        f"works on at once | {protocol.MOST_CONNECTIONS}, {receiver.AT_ONCE} |",
        f"under way at once; together | {bodies.MOST_UNDER_WAY}; {bodies.MOST_BYTES // MIB} MiB;",
        f"tries at once | {trying.AT_ONCE} |",
        f"one message, in one call | {measure.MESSAGE // MIB} MiB, {measure.PARTS:,} parts; {OF_A_CALL} |",
        f"in `sync.yaml` | {readmodel.MAX_FINDINGS} |",
        f"`plan` compares | {plan_times.MOST_FIRES:,},",
        f"next instant | {HORIZON.days // 366} years",
    ],
)
def test_a_limit_is_what_the_page_says(row: str) -> None:
    assert row in PAGE
