"""Ways in which a script for Python puts the words of a command together, and programs that are given them."""

from collections.abc import Iterator, Sequence

RUNNING = "import asyncio, functools, os, subprocess, sys\nfrom dataclasses import dataclass\nx = ${{ e }}\n"

WAYS = {
    "written out": "subprocess.run([{head}, {tail}], check=True)",
    "a variable": "c = [{head}, {tail}]\nsubprocess.run(c, check=True)",
    "starred": "w = [{tail}]\nsubprocess.run([{head}, *w])",
    "two starred": "h = [{head}]\nw = [{tail}]\nsubprocess.run([*h, *w])",
    "starred tuple": "w = ({tail},)\nsubprocess.run(({head}, *w))",
    "a sum": "w = [{tail}]\nsubprocess.run([{head}] + w)",
    "a sum of variables": "h = [{head}]\nw = [{tail}]\nc = h + w\nsubprocess.run([*h, *w])",
    "a sum of tuples": "w = ({tail},)\nsubprocess.run(({head},) + w)",
    "append": "c = [{head}]\nfor w in [{tail}]:\n    c.append(w)\nsubprocess.run(c)",
    "append to what is starred": "w = [{middle}]\nw.append(x)\nsubprocess.run([{head}, *w])",
    "append to nothing": "w = []\nw += [{middle}]\nw.append(x)\nsubprocess.run([{head}] + w)",
    "extend": "c = [{head}]\nc.extend([{tail}])\nsubprocess.run(c)",
    "extend by a variable": "c = [{head}]\nw = [{tail}]\nc.extend(w)\nsubprocess.run(c)",
    "+=": "c = [{head}]\nc += [{tail}]\nsubprocess.run(c)",
    "another name": "c = [{head}]\nd = c\nd += [{tail}]\nsubprocess.run(c)",
    "a list as parameter": "def f(w):\n    subprocess.run([{head}, *w])\nf([{tail}])",
    "a list that is handed on": "def g(w):\n    subprocess.run([{head}, *w])\ndef f(w):\n    g(w)\nf([{tail}])",
    "a whole command as parameter": "def f(c):\n    subprocess.run(c, check=True)\nf([{head}, {tail}])",
    "a variable as parameter": "def f(w):\n    subprocess.run([{head}] + w)\nw = [{tail}]\nf(w)",
    "by name": "def f(w=()):\n    subprocess.run([{head}, *w])\nf(w=[{tail}])",
    "put in by a function": (
        "def f(c, v):\n    c.append(v)\nc = [{head}]\nfor w in [{tail}]:\n    f(c, w)\nsubprocess.run(c)"
    ),
    "arguments": "def f(*w):\n    subprocess.run([{head}, *w])\nf({tail})",
    "arguments of a lambda": "f = lambda *w: subprocess.run([{head}, *w])\nf({tail})",
    "arguments and a word": "def f(first, *w):\n    subprocess.run([{head}, first, *w])\nf({tail})",
    "starred arguments": "def f(*w):\n    subprocess.run([{head}, *w])\nw = [{tail}]\nf(*w)",
    "arguments as a list": "def f(*w):\n    subprocess.run([{head}] + list(w))\nf({tail})",
    "arguments of a method": "class H:\n    def go(self, *w):\n        subprocess.run([{head}, *w])\nH().go({tail})",
    "a list of a method": "class H:\n    def go(self, w):\n        subprocess.run([{head}, *w])\nH().go([{tail}])",
    "an attribute": (
        "class H:\n    def __init__(self, w):\n        self.w = w\n    def go(self):\n"
        "        subprocess.run([{head}, *self.w])\nH([{tail}]).go()"
    ),
    "a decorated function": (
        "def twice(g):\n    @functools.wraps(g)\n    def again(*a):\n        g(*a)\n        return g(*a)\n"
        "    return again\n@twice\ndef f(*w):\n    subprocess.run([{head}, *w])\nf({tail})"
    ),
    "what a function returns": "def f():\n    return [{tail}]\nsubprocess.run([{head}, *f()])",
    "a comprehension": "subprocess.run([{head}, *[w for w in ({tail},)]])",
    "a generator": "w = [{tail}]\nsubprocess.run([{head}, *(one for one in w)])",
    "a copy": "w = [{tail}]\nsubprocess.run([{head}] + list(w))",
    "a copy by a method": "w = [{tail}]\nc = w.copy()\nsubprocess.run([{head}, *c])",
    "one of two": "w = [{tail}] if len(x) > 3 else []\nsubprocess.run([{head}, *w])",
    "or": "w = [{tail}]\nsubprocess.run([{head}, *(w or [])])",
    "a mapping": "d = {{'a': [{tail}]}}\nsubprocess.run([{head}, *d['a']])",
    "one of several lists": "cs = [[{head}, {tail}], ['ls', x]]\nfor c in cs:\n    subprocess.run(c)",
    "a keyword": "w = [{tail}]\nsubprocess.run(args=[{head}, *w])",
    "arguments of a call": (
        "w = [{tail}]\nasync def main():\n    p = await asyncio.create_subprocess_exec({head}, *w)\n"
        "    await p.wait()\nasyncio.run(main())"
    ),
    "execvp": "w = [{tail}]\nos.execvp('a', [{head}, *w])",
    "Popen": "w = [{tail}]\nsubprocess.Popen([{head}, *w]).wait()",
    "handed on": "w = [{tail}]\nlist(map(subprocess.run, [[{head}, *w]]))",
}
"""`head` begins the command; `tail` are the other words, of which the last is the value; `middle` those without it."""

UNKNOWN = {
    "+= of a variable": "c = [{head}]\nw = [{tail}]\nc += w\nsubprocess.run(c)",
    "what a generator yields": "def f():\n    for w in [{tail}]:\n        yield w\nsubprocess.run([{head}, *f()])",
    "a slice": "w = ['a', {tail}]\nsubprocess.run([{head}, *w[1:]])",
    "after pop": "w = ['a', {tail}]\nw.pop(0)\nsubprocess.run([{head}, *w])",
    "insert": "w = [{middle}]\nw.insert(len(w), x)\nsubprocess.run([{head}, *w])",
    "an item": "w = [{middle}, 'a']\nw[-1] = x\nsubprocess.run([{head}, *w])",
    "mapped": "subprocess.run([{head}, *map(str, [{tail}])])",
    "reversed": "w = [*reversed([{tail}])]\nsubprocess.run([{head}, *reversed(w)])",
    "filtered": "subprocess.run([{head}, *filter(None, [{tail}])])",
    "split": "w = ' '.join([{tail}]).split(' ')\nsubprocess.run([{head}, *w])",
    "a deque": "from collections import deque\nw = deque([{tail}])\nsubprocess.run([{head}, *w])",
    "a sum of lists": "w = sum([[{tail}]], [])\nsubprocess.run([{head}, *w])",
}
"""Ways of which the words are not known."""

EVALUATING: tuple[tuple[str, ...], ...] = (
    ("ssh", "h", "ls"), ("ssh", "-p", "22", "h"), ("su", "-", "bob", "-c"), ("bash", "-c"), ("sh", "-ec"),
    ("env", "-S"), ("env", "A=1", "sh", "-c"), ("sed", "-e"), ("sudo", "-u", "app"), ("sudo", "sh", "-c"),
    ("docker", "exec", "c"), ("docker", "exec", "c", "sh", "-c"), ("kubectl", "exec", "p", "--", "sh", "-c"),
    ("timeout", "5"), ("nice", "-n", "5"), ("xargs", "sh", "-c"), ("find", ".", "-exec"), ("python3", "-c"),
    ("perl", "-e"), ("awk", "-e"), ("rsync", "-e"), ("git", "-c"), ("tar", "-I"), ("watch", "-n", "5"),
    ("flock", "l", "-c"), ("ip", "netns", "exec", "n"), ("tmux", "send-keys"),
    ("psql", "-c"), ("gcloud", "compute", "ssh"),
)  # fmt: skip
"""What evaluates the word after these."""
TAKING_DATA: tuple[tuple[str, ...], ...] = (
    ("rsync", "-a", "src"), ("tar", "-cf", "a.tar"), ("git", "log", "--author"), ("curl", "-sf"),
    ("systemctl", "restart"), ("docker", "ps", "--filter"), ("ls", "--"), ("kubectl", "get", "pod"), ("cp", "a"),
    ("useradd", "-m"), ("sudo", "systemctl", "stop"),
)  # fmt: skip


def scripts(words: Sequence[str], ways: dict[str, str]) -> Iterator[tuple[str, str]]:
    """By way, what a script says that starts these words and the value, parted in each place."""
    for name, way in ways.items():
        for place in range(1, len(words) + 1):
            head, middle = (", ".join(map(repr, one)) for one in (words[:place], words[place:]))
            tail = f"{middle}, x" if middle else "x"
            yield f"{name}, {place}", RUNNING + way.format(head=head, middle=middle, tail=tail).replace("[, ", "[")


IN_ANY_ORDER = frozenset({"append", "put in by a function", "arguments of a lambda"})
_BEGIN = (
    "import os, subprocess, shlex, sys, json, shutil\nfrom pathlib import Path\nx = ${{ e }}\nq = shlex.quote(x)\n"
    'c = f"ls {q}"\nB = os.environ["B"]\n'
)
EVALUATED_OF_LISTS = [
    _BEGIN + script
    for script in (
        # input, of which it is not known what the program makes
        'cmd = ["ssh", "web1", "bash -s"]\nsubprocess.run(cmd, input="systemctl restart " + x, text=True)',
        "def r(c, i): subprocess.run(c, input=i, text=True)\nr(['sh'], x)",
        *(
            form.format(words)
            for words in (
                '["crontab", "-"]', '[sys.executable, "-"]', "[sys.executable]", '[os.environ["SHELL"]]',
                '[os.environ.get("SHELL", "/bin/sh")]', '["chroot", "/mnt"]', '["docker", "run", "-i", "img"]',
                '["sftp", "h"]', '["fdisk", "/dev/x"]', '["debugfs"]', '["nft", "-f", "-"]', '["redis-cli"]',
                '["su", "-", "bob"]', '["ssh", "h"]', '["sudo", "sh"]', '["xargs", "sh", "-c"]', '["some-tool"]',
            )
            for form in (
                "subprocess.run({}, input=x, text=True)",
                "w = {}\nsubprocess.run(w, input=x, text=True)",
                "subprocess.run([*{}], input=x, text=True)",
                "def r(w, i): subprocess.run(w, input=i, text=True)\nr({}, x)",
                "p = subprocess.Popen({}, stdin=subprocess.PIPE, text=True)\np.communicate(x)",
                "p = subprocess.Popen({}, stdin=subprocess.PIPE, text=True)\np.stdin.write(x)",
            )
        ),
        'p = subprocess.Popen("crontab -", shell=True, stdin=subprocess.PIPE, text=True)\np.stdin.write(x)',
        'p = os.popen("crontab -", "w")\np.write(x)',
        # a text in which the value is quoted for one shell, and another reads it, or none
        *(
            f"subprocess.run({words})"
            for words in (
                """["ssh", "h", "sudo sh -c '" + c + "'"]""", """["ssh", "h", 'sudo sh -c "' + c + '"']""",
                '["ssh", "jump", "ssh", "h2", c]', '["ssh", "jump", "ssh h2 " + c]', '["sh", "-c", "ssh h " + c]',
                '["sh", "-c", "eval " + c]', '["ssh", "h", "eval", c]', '["ssh", "h", "sh", "-c", c]',
                '[sys.executable, "-c", c]', '["python3", "-c", c]', '["watch", c]', '["awk", c]',
                '["find", ".", "-exec", "sh", "-c", c, ";"]', '["xargs", "-I{}", "sh", "-c", c]',
            )
        ),
        # a program whose name is put together
        *(
            f"subprocess.run([{program}, 'h', 'ls', x])"
            for program in (
                'shutil.which("ssh")', 'os.environ.get("SSH", "ssh")', '"ssh" if len(x) else "rsh"', 'f"{B}/ssh"',
                'B + "/ssh"', 'os.path.join(B, "ssh")', 'Path("/usr/bin/ssh")', 'str(Path("/usr/bin") / "ssh")',
                '["ssh"][0]', '{"a": "ssh"}["a"]', '"sudo", shutil.which("ssh")',
            )
        ),
        "def C(): return 'ssh'\nsubprocess.run([C(), 'h', x])",
        "for s in ('ssh', 'rsh'): subprocess.run([s, 'h', x])",
        # the environment of another program
        *(
            f"subprocess.run([{words}])"
            for words in (
                '"env", "A=" + x, "bash", "-c", "echo $((A))"', '"env", f"A={x}", "bash", "-c", "echo $((A))"',
                '"env", "A=%s" % x, "bash", "-c", "echo $((A))"', '"env", "A={}".format(x), "sh", "-c", "eval $A"',
                '"docker", "exec", "-e", f"A={x}", "c", "bash", "-c", \'eval "$A"\'',
                '"docker", "exec", "-eA=" + x, "c", "bash", "-c", \'eval "$A"\'',
                '"docker", "exec", "--env=A=" + x, "c", "bash", "-c", \'eval "$A"\'',
                '"env", "LD_PRELOAD=" + x, "ls"', '"env", f"BASH_ENV={x}", "ls"',
            )
        ),
        "a = 'A=' + x\nsubprocess.run(['env', a, 'bash', '-c', 'echo $((A))'])",
        "import webbrowser\nwebbrowser.get(x + ' %s').open('u')",
        "from webbrowser import get\nget(x + ' %s').open('u')",
    )
]  # fmt: skip
DATA_OF_LISTS = [
    _BEGIN + script
    for script in (
        *(
            f"subprocess.run({words})"
            for words in (
                '["sh", "-c", c]', '["bash", "-ec", c]', '["sudo", "-u", "app", "bash", "-o", "pipefail", "-c", c]',
                '["ssh", "h", c]', '["ssh", "-o", "BatchMode=yes", "h", "--", c]', '["ssh", "h", "cd /srv && " + c]',
                '["ssh", "h", "sudo -u app " + c]', '["su", "-", "bob", "-c", c]', '["echo", c]',
                '["docker", "exec", "c", "sh", "-c", c]', '["logger", "ran " + c]',
                '["env", "A=" + x, "make"]', '["env", f"A={x}", "bash", "-c", \'ls "$A"\']',
                '["docker", "run", "-e", f"A={x}", "img"]',
            )
        ),
        *(
            f"subprocess.run({words}, input=x, text=True)"
            for words in (
                '["tee", "f"]', '["sudo", "tee", "f"]', '["ssh", "h", "cat > f"]', '["ssh", "h", "--", "tee", "f"]',
                '["docker", "exec", "-i", "c", "tee", "f"]', '["docker", "login", "--password-stdin", "-u", "a"]',
                '["kubectl", "apply", "-f", "-"]', '["chpasswd"]', '["psql", "-c", "copy t from stdin"]',
                '["./import.sh"]', '[f"{B}/import.sh"]', '[sys.executable, "tools/x.py"]', '["sh", "-c", "cat > f"]',
                '[sys.executable, "-c", "import sys"]', '["jq", "."]', '[shutil.which("tee"), "f"]',
            )
        ),
        "def r(w, i): subprocess.run(w, input=i, text=True)\nr(['tee', 'f'], x)\nr(['sort', '-u'], x)",
        "p = subprocess.Popen(['tee', 'f'], stdin=subprocess.PIPE, text=True)\np.communicate(x)",
        "p = subprocess.Popen('sort | uniq -c', shell=True, stdin=subprocess.PIPE, text=True)\np.communicate(x)",
        *(
            f"subprocess.run({words})\nsubprocess.run(['ssh', 'h', 'uptime'])"
            for words in (
                '[shutil.which("rsync"), "-a", x, "b"]', '[sys.executable, "-m", "pip", "install", x]',
                '[f"{B}/rsync", x]', '[shutil.which("podman") or "docker", "ps", "--filter", x]',
            )
        ),
        "import webbrowser\nwebbrowser.open('https://h/' + x)",
    )
]  # fmt: skip
