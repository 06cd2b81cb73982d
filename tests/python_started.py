"""Scripts for Python that start commands, of which some are shells with a script of their own."""

RUN_STARTED = [
    *(
        f"import subprocess\nsubprocess.run({words}, check=True)"
        for words in (
            "['sh', '-c', 'eval \"$1\"', '_', ${{ e }}]",
            "['bash', '-c', 'echo $(($1))', '_', ${{ e }}]",
            "['sh', '-c', '$0', ${{ e }}]",
            "['sh', '-c', '$@', '_', ${{ e }}]",
            "['sh', '-c', 'sh -c $1', '_', ${{ e }}]",
            "['env', 'A=1', 'nice', '-n', '5', 'sh', '-c', 'eval $1', '_', ${{ e }}]",
            "['timeout', '5', 'bash', '-ec', 'eval \"$2\"', '_', 'a', ${{ e }}]",
            "['find', '/dev/null', '-exec', 'sh', '-c', 'eval \"$2\"', '_', '{}', ${{ e }}, ';']",
            "['xargs', '-a', '/dev/null', 'sh', '-c', 'eval \"$1\"', '_', ${{ e }}]",
            "['busybox', 'sh', '-c', 'eval \"$1\"', '_', ${{ e }}]",
            "['bash', '-c', 'for x in \"$@\"; do eval \"$x\"; done', '_', ${{ e }}]",
            "['sh', '-c', 'eval \"$1\" # it\\'s', '_', ${{ e }}]",
            "('sh', '-c') + ('eval \"$1\"', '_', ${{ e }})",
            "['sh', '-c', 'eval \"$1\"', '_'] + [${{ e }}] * 2",
            "['sh', '-c', 'eval \"$1\"', '_', *(x for x in [${{ e }}])]",
        )
    ),
    (
        "import asyncio\n"
        "async def main():\n"
        "    p = await asyncio.create_subprocess_exec('sh', '-c', 'eval $1', '_', ${{ e }})\n"
        "    await p.wait()\n"
        "asyncio.run(main())"
    ),
    "import os\nos.execlp('sh', 'sh', '-c', 'eval $1', '_', ${{ e }})",
    "import os\nos.spawnvp(os.P_WAIT, 'sh', ['sh', '-c', 'eval $1', '_', ${{ e }}])",
    "import pty\npty.spawn(['sh', '-c', 'eval $1', '_', ${{ e }}])",
    "import subprocess\nc = 'eval \"$1\"'\nsubprocess.run(['sh', '-c', c, '_', ${{ e }}])",
    "import subprocess\ndef f(c, *a): subprocess.run(['sh', '-c', c, '_', *a])\nf('eval \"$1\"', ${{ e }})",
    "import subprocess\nc = ['sh', '-c', 'eval \"$1\"', '_']\nc.append(${{ e }})\nsubprocess.run(c)",
    "import shlex, subprocess\nsubprocess.run(shlex.split('sh -c \\'eval $1\\' _') + [${{ e }}])",
    # lists that begin with what is not known
    "import subprocess\nsubprocess.run('sh -c'.split(' ', 1) + [${{ e }}])",
    "import subprocess\nsubprocess.run('sh;-c'.split(';', maxsplit=1) + [${{ e }}])",
    "import subprocess\nd = {'c': ['sh', '-c']}\nsubprocess.run(d['c'] + [${{ e }}])",
    "import subprocess\nsubprocess.run((['sh', '-c'] if ${{ e }} else ['ls']) + [${{ e }}])",
    "import subprocess\nb = ['sh', '-c'] if ${{ e }} else ['ls']\nsubprocess.run([*b, ${{ e }}])",
    "import subprocess\ndef b(): return ['sh', '-c']\nsubprocess.run(b() + [${{ e }}])",
    "import subprocess\nfor b in (['ls'], ['sh', '-c']): subprocess.run(b + [${{ e }}])",
    (
        "import subprocess\n"
        "class A:\n"
        "    def __init__(self, c): self.c = c\n"
        "    def go(self, *a): subprocess.run([*self.c, *a])\n"
        "A(['sh', '-c', 'eval \"$1\"', '_']).go(${{ e }})"
    ),
    "import subprocess\nopt = '-c'\nsubprocess.run(f'sh {opt}'.split() + [${{ e }}])",
]
"""A program in the value runs, if such a script is bound in spite of the refusal."""
DATA_STARTED = [
    "import subprocess\nsubprocess.run(['sh', '-c', 'ls -- \"$1\" | wc -l', '_', ${{ e }}])",
    "import subprocess\nsubprocess.run(['bash', '-euo', 'pipefail', '-c', 'cd \"$1\" && exec make', '_', ${{ e }}])",
    "import subprocess\nsubprocess.run(['sudo', '-u', 'x', 'sh', '-c', 'cat > \"$1\"', '_', ${{ e }}])",
    "import subprocess\nsubprocess.run(['docker', 'exec', 'x', 'sh', '-c', 'echo \"$1\"', '_', ${{ e }}])",
    (
        "import os, subprocess\n"
        "sudo = [] if os.geteuid() == 0 else ['sudo']\n"
        "subprocess.run(['sh', '-c', 'uptime'])\n"
        "subprocess.run([*sudo, 'ls', ${{ e }}])\n"
        "subprocess.run(sudo + ['ls', ${{ e }}])"
    ),
    (
        "import subprocess\n"
        "base = ['ls']\n"
        "base += ['-l']\n"
        "base.append('-a')\n"
        "subprocess.run(['sh', '-c', 'uptime'])\n"
        "subprocess.run(base + [${{ e }}])"
    ),
    "import subprocess\nfrom settings import COMMAND\nsubprocess.run([*COMMAND, ${{ e }}])",
    "import subprocess\nd = {'a': ['ls', '-l'], 'b': ['df']}\nsubprocess.run(d['a'] + [${{ e }}])",
]
