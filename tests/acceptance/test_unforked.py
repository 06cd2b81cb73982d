"""Whoever goes on after a check, with threads of its own, is not forked by it: the MCP server, and a site's export."""

import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from tests.acceptance.site import HERE, Site, job

pytestmark = pytest.mark.slow
TRAP = """
import os, sys
def fork():
    sys.stderr.write("forked")
    sys.stderr.flush()
    os._exit(99)
os.fork = fork
os.sched_getaffinity = lambda _: {0, 1, 2}
"""
"""In every interpreter that starts with it on its path: a fork is the end, and there are cores enough to want one."""
POOL = "apiVersion: opsconductor/v1\nkind: RunnerPool\nmetadata: {{name: p{}}}\n"
MANY = {f"p{start}.yaml": "---\n".join(map(POOL.format, range(start, start + 250))) for start in range(0, 1500, 250)}


@pytest.fixture
def trapped(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "trap").mkdir()
    (tmp_path / "trap" / "sitecustomize.py").write_text(TRAP)
    return {"PYTHONPATH": f"{tmp_path / 'trap'}:{Path(__file__).resolve().parents[2]}"}


async def test_what_goes_on_after_a_check_is_not_forked_by_it(
    site: Any, trapped: dict[str, str], tmp_path: Path
) -> None:
    made: Site = site({"here.yaml": HERE, "greet.yaml": job("greet", "- {run: echo hello}"), **MANY})
    made.up().stop()
    made.pulled()

    assert made.run("validate", env=trapped).returncode == 99  # a command is, so the trap holds
    words = ["-m", "opsconductor.cli.main", "mcp", "--repo", str(made.clone), "--state", str(made.state)]
    started = StdioServerParameters(
        command=sys.executable, args=words, env={**made.environment, **trapped}, cwd=made.root
    )
    async with stdio_client(started) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        for tool, asked in (
            ("find_documents", {"limit": 1}),
            ("validate_change", {"files": [{"path": "definitions/greet.yaml", "text": None}]}),
        ):
            answer = await session.call_tool(tool, asked)
            assert not answer.is_error, answer.content
    built = made.run("site", "build", str(tmp_path / "site"), "--state", str(made.state), env=trapped)
    assert built.returncode == 0, built.stderr
