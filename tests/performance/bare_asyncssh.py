"""The limit: asyncssh by itself, with the settings of our logins. A program of its own: JSON in, JSON out.

Its own start is not counted, as ours is not.
"""

import asyncio
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncssh


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def _timed(work: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), _used()
    await work()
    return time.perf_counter() - wall, _used() - cpu


async def main(asked: dict[str, Any]) -> dict[str, Any]:
    slots = asyncio.Semaphore(asked["forks"])
    key = asyncssh.read_private_key(asked["key"])
    trusted = [asyncssh.import_public_key(asked["host_key"])]
    connections: dict[str, asyncssh.SSHClientConnection] = {}

    async def connect(host: str) -> asyncssh.SSHClientConnection:
        return await asyncssh.connect(
            host, asked["port"], config=None, known_hosts=(trusted, [], []), username=asked["user"], client_keys=[key],
            server_host_key_algs=[name.decode() for name in trusted[0].sig_algorithms], agent_path=None, gss_host=None,
            compression_algs=None,
        )  # fmt: skip

    async def once(host: str) -> None:
        async with slots:
            if host not in connections:
                connections[host] = await connect(host)
            for _ in range(asked["steps"]):
                done = await connections[host].run(asked["command"])
                assert done.stdout == "ok\n", done

    async def all_of_them() -> None:
        await asyncio.gather(*(once(host) for host in asked["hosts"]))

    cold = await _timed(all_of_them)
    warm = await _timed(all_of_them)
    for connection in connections.values():
        connection.abort()
    return {"cold": cold, "warm": warm, "peak": _peak()}


def _peak() -> int:
    # not ru_maxrss: that begins with the memory of the process that this one was made by
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(json.loads(sys.argv[1])))))
