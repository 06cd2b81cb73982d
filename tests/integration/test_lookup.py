"""Names that nobody answers for, and names with several addresses: in namespaces with a resolver of their own."""

import subprocess
import sys
from pathlib import Path

_ROOM = """
ip link set lo up
printf 'nameserver 127.0.0.77\\noptions timeout:1 attempts:5\\n' >"$1/resolv"; mount --bind "$1/resolv" /etc/resolv.conf
printf '127.0.0.1 localhost\\n127.0.0.1 two-01\\n127.0.0.99 two-01\\n' >"$1/hosts"; mount --bind "$1/hosts" /etc/hosts
printf 'hosts: files dns\\n' >"$1/names"; mount --bind "$1/names" /etc/nsswitch.conf
printf 'multi on\\n' >"$1/several"; [ ! -e /etc/host.conf ] || mount --bind "$1/several" /etc/host.conf
exec "$2" -c "$3"
"""
"""A name server that takes questions and answers none; two-01 has two addresses."""
_MUTE = """
import asyncio, os, socket, sys
mute = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
mute.bind(("127.0.0.77", 53))
"""
_DEAD_NAMES = (
    _MUTE
    + """
from runners.steps.reaching import Unreached, addresses_of

async def asked(host):
    return await addresses_of(host, 80, authored=True, networks=())

async def main():
    dead = [asyncio.ensure_future(asked(f"dead-{number}.example")) for number in range(100)]
    await asyncio.get_running_loop().sock_recv(mute, 2000)  # one of them asks
    print(await asked("127.0.0.1"), await asked("::1"), await asked("localhost"), await asyncio.to_thread(int, "7"))
    print(sum(one.done() for one in dead))
    for one in dead:
        one.cancel()

mute.setblocking(False)
asyncio.run(main())
sys.stdout.flush()
os._exit(0)
"""
)
_MANY_NAMES = """
import asyncio, queue, socket, struct, threading, time

served = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
served.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)  # SO_RCVBUFFORCE: no question is dropped
served.bind(("127.0.0.77", 53))
asked = queue.SimpleQueue()

def take():
    while True:
        question, place = served.recvfrom(2000)
        asked.put((time.monotonic() + 0.08, question, place))

def tell():
    while True:
        due, question, place = asked.get()
        time.sleep(max(0.0, due - time.monotonic()))
        end = question.index(0, 12) + 5
        v4 = struct.unpack("!H", question[end - 4:end - 2])[0] == 1
        found = struct.pack("!HHHIH4s", 0xC00C, 1, 1, 60, 4, socket.inet_aton("127.0.0.9")) if v4 else b""
        head = question[:2] + struct.pack("!HHHHH", 0x8180, 1, int(v4), 0, 0)
        served.sendto(head + question[12:end] + found, place)

threading.Thread(target=take, daemon=True).start()
threading.Thread(target=tell, daemon=True).start()

from runners.steps.reaching import addresses_of

async def main():
    names = (addresses_of(f"web-{number}.example", 22, authored=True, networks=()) for number in range(700))
    found = await asyncio.gather(*names, return_exceptions=True)
    print(sum(one == ["127.0.0.9"] for one in found), {repr(one) for one in found})

asyncio.run(main())
"""
_SILENT_FIRST = """
import asyncio, os, socket
from runners.connections import lookup

async def main():
    good = socket.create_server(("127.0.0.99", 0))
    port = good.getsockname()[1]
    silent = socket.socket()
    silent.bind(("127.0.0.1", port))
    silent.listen(0)
    full = []
    for _ in range(3):  # its queue: it takes no further connection, and refuses none
        full.append(socket.socket())
        full[-1].setblocking(False)
        full[-1].connect_ex(("127.0.0.1", port))
    found = await lookup.looked_up("two-01", port, 10.0)
    print(sorted(one[4][0] for one in found))
    made = await lookup.connected("two-01", port, 10.0)
    print(made.getpeername()[0])
    silent.close()
    print((await lookup.connected("two-01", port, 10.0)).getpeername()[0])
    good.close()
    try:
        await lookup.connected("two-01", port, 10.0)
    except ConnectionRefusedError:
        print("refused")

asyncio.run(main())
"""


def said(folder: Path, program: str) -> list[str]:
    place = ("unshare", "--net", "--mount", "--propagation", "private", "sh", "-ec", _ROOM, "room")
    command = [*place, str(folder), sys.executable, program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_names_that_nobody_answers_for_hold_up_nothing_else(tmp_path: Path) -> None:
    """Neither addresses, nor names of this host, nor work that needs a thread, while a hundred of them wait."""
    assert said(tmp_path, _DEAD_NAMES) == ["['127.0.0.1'] ['::1'] ['127.0.0.1'] 7", "0"]


def test_hundreds_of_names_of_a_slow_name_server_are_found(tmp_path: Path) -> None:
    """More than are looked up at once: the rest have their turn, and no healthy host is unreachable."""
    assert said(tmp_path, _MANY_NAMES)[0].split()[0] == "700"


def test_an_address_that_is_silent_or_refuses_is_not_the_last(tmp_path: Path) -> None:
    assert said(tmp_path, _SILENT_FIRST) == ["['127.0.0.1', '127.0.0.99']", "127.0.0.99", "127.0.0.99", "refused"]
