"""Scripts for Python in which variables take a value on: to what evaluates it, or as data."""

from tests.python_implicit import DATA_IMPLICIT, RUN_IMPLICIT
from tests.python_started import DATA_STARTED, RUN_STARTED

RUN = [
    *RUN_STARTED,
    *RUN_IMPLICIT,
    "import os\nx = ${{ e }}\nos.system(x)",
    "import os\nx = ${{ e }}\nos.system(f'ls {x}')",
    "import os\nx = ${{ e }}\nos.system('ls ' + x)",
    "import os\nx = ${{ e }}\nos.system('ls %s' % x)",
    "import os\nx = ${{ e }}\nos.system('ls {}'.format(x))",
    "import os\nx = ${{ e }}\nc = ' '.join(['ls', x])\nos.system(c)",
    "import os\na, b = 'ls', ${{ e }}\nos.system(a + ' ' + b)",
    "import os\n(a, *b) = ['ls', ${{ e }}]\nos.system(b[0])",
    "import os\nfor x in [${{ e }}]:\n    os.system(x)",
    "import os\nxs = ['a', ${{ e }}]\nfor x in xs:\n    os.system(x)",
    "import os\n[os.system(x) for x in ${{ e }}.split('|')]",
    "import os\ndef f(a, b='x'):\n    os.system(b)\nf(1, ${{ e }})",
    "import os\ndef f(a):\n    os.system(a)\nf(a=${{ e }})",
    "import os\ndef f(*a):\n    os.system(a[0])\nf(${{ e }})",
    "import os\ndef f(**k):\n    os.system(k['a'])\nf(a=${{ e }})",
    "import os\ndef f(a):\n    return 'ls; ' + a\nos.system(f(${{ e }}))",
    "import os\ndef f(a):\n    return 'ls; ' + a\nx = f(${{ e }})\nos.system(x)",
    "import os\ndef g(c):\n    os.system(c)\ndef f(a):\n    g('ls; ' + a)\nf(${{ e }})",
    "import os\nf = lambda a: os.system(a)\nf(${{ e }})",
    "import os\nlist(map(lambda a: os.system(a), [${{ e }}]))",
    "import os\ndef f(a):\n    os.system(a)\nlist(map(f, [${{ e }}]))",
    (
        "import os, threading\n"
        "def f(a):\n"
        "    os.system(a)\n"
        "t = threading.Thread(target=f, args=(${{ e }},))\n"
        "t.start()\n"
        "t.join()"
    ),
    (
        "import os\n"
        "class A:\n"
        "    def __init__(self, c):\n"
        "        self.c = c\n"
        "    def go(self):\n"
        "        os.system(self.c)\n"
        "A(${{ e }}).go()"
    ),
    "import os\nclass A:\n    def go(self, c):\n        os.system(c)\nA().go(${{ e }})",
    "import os\nif (x := ${{ e }}):\n    os.system(x)",
    "import os, contextlib\nwith contextlib.nullcontext(${{ e }}) as x:\n    os.system(x)",
    "import os\nmatch ${{ e }}:\n    case x:\n        os.system(x)",
    "from os import system as s\nx = ${{ e }}\ns(x)",
    "from os import system\nx = ${{ e }}\nsystem(x)",
    "import subprocess\nr = subprocess.run\nx = ${{ e }}\nr(x)",
    "import subprocess as sp\nx = ${{ e }}\nsp.run(x, shell=True)",
    "import subprocess\nx = ${{ e }}\nsubprocess.run(['sh', '-c', x])",
    "import subprocess\nx = ${{ e }}\nsubprocess.run('ls ' + x, shell=True)",
    "import subprocess\nx = ${{ e }}\nc = ['sh', '-c', x]\nsubprocess.run(c)",
    "import subprocess\nc = ['sh']\nc.append('-c')\nc.append(${{ e }})\nsubprocess.run(c)",
    "import subprocess\nc = ['sh', '-c']\nc += [${{ e }}]\nsubprocess.run(c)",
    "import subprocess\nc = ['sh', '-c']\nsubprocess.run(c + [${{ e }}])",
    "import subprocess\nc = ['sh', '-c']\nx = ${{ e }}\nsubprocess.run([*c, x])",
    "import subprocess\nsh = 'sh'\nx = ${{ e }}\nsubprocess.run([sh, '-c', x])",
    "import subprocess\nc = []\nc.append(${{ e }})\nsubprocess.run(c)",
    "import subprocess\ndef run(*c):\n    subprocess.run(c)\nx = ${{ e }}\nrun('sh', '-c', x)",
    "import subprocess\ndef go(c):\n    subprocess.run(c)\nx = ${{ e }}\ngo(['sh', '-c', x])",
    "import subprocess\nx = ${{ e }}\nc = x.split()\nsubprocess.run(c)",
    "x = ${{ e }}\nexec(compile(x, 'a', 'exec'))",
    "x = ${{ e }}\nc = compile(x, 'a', 'exec')\nexec(c)",
    "x = ${{ e }}\neval(x)",
    "import os\nx = ${{ e }}\nos.popen(x).read()",
    "import pty\nx = ${{ e }}\npty.spawn(['sh', '-c', x])",
    "import os\nx = ${{ e }}\nos.execvp('sh', ['sh', '-c', x])",
    "import os\nx = ${{ e }}\nos.execlp(x, x)",
    "import os, json\nd = json.loads('[\"a\"]')\nd[0] = ${{ e }}\nos.system(d[0])",
    "import os\nd = {}\nd['k'] = ${{ e }}\nos.system(d['k'])",
    "import os, shlex\nx = shlex.quote(${{ e }})\nos.system(f\"ls '{x}'\")",
    "import os, shlex\nx = shlex.quote(${{ e }})\nos.system(f'sh -c {x}')",
    "import os\ndef f():\n    global x\n    x = ${{ e }}\nf()\nos.system(x)",
    "import os\ns = ''\ns += ${{ e }}\nos.system(s)",
    "import os\ndef f():\n    yield ${{ e }}\nfor x in f():\n    os.system(x)",
    # by what a function returns
    "import os\ndef f(): return ${{ e }}\nos.system('ls; ' + f())",
    "def f(): return ${{ e }}\neval(f())",
    "import os\ndef f():\n    x = ${{ e }}\n    return x\nos.system(f'ls; {f()}')",
    "import os\nf = lambda: ${{ e }}\nos.system(f())",
    "import subprocess\ndef f(): return ${{ e }}\nsubprocess.run(['sh', '-c', f()])",
    "import subprocess\ndef f(): return ${{ e }}\nsubprocess.run(['sh'], input=f(), text=True)",
    "import subprocess\ndef f(): return ${{ e }}\nsubprocess.getoutput(f())",
    "import os\ndef f(): return ${{ e }}\ndef g(): return 'ls; ' + f()\nos.system(g())",
    "import os\ndef f(): return {'a': ${{ e }}}\nos.system(f()['a'])",
    "import os\ndef f(x): return x\ndef g(x): os.system(f(x))\ng(${{ e }})",
    "import os\nclass A:\n    def f(self): return ${{ e }}\nos.system(A().f())",
    "import os\nclass A:\n    @staticmethod\n    def f(): return ${{ e }}\nos.system(A.f())",
    "import os\nclass A:\n    @property\n    def f(self): return ${{ e }}\nos.system(A().f)",
    (
        "import functools, os\n"
        "class A:\n"
        "    @functools.cached_property\n"
        "    def f(self): return ${{ e }}\n"
        "    def go(self): os.system(self.f)\n"
        "A().go()"
    ),
    ("import asyncio, os\nasync def f(): return ${{ e }}\nasync def main(): os.system(await f())\nasyncio.run(main())"),
    "import os\ndef quote(x): return x\nos.system('ls; ' + quote(${{ e }}))",
    (
        "import os\n"
        "def loud(f):\n"
        "    def run(c):\n"
        "        os.system(c)\n"
        "        return f(c)\n"
        "    return run\n"
        "@loud\n"
        "def go(c): print(c)\n"
        "go(${{ e }})"
    ),
    # by the fields of an object, by a class, by an exception
    (
        "import os\n"
        "from dataclasses import dataclass\n"
        "@dataclass\n"
        "class A:\n"
        "    c: str\n"
        "    def go(self): os.system(self.c)\n"
        "A(${{ e }}).go()"
    ),
    (
        "import os, dataclasses\n"
        "@dataclasses.dataclass(frozen=True)\n"
        "class A:\n"
        "    c: str\n"
        "class B(A):\n"
        "    d: str = 'x'\n"
        "b = B(c=${{ e }})\n"
        "os.system('ls; ' + b.c)"
    ),
    ("import os\nfrom typing import NamedTuple\nclass A(NamedTuple):\n    c: str\na = A(${{ e }})\nos.system(a.c)"),
    (
        "import os\n"
        "class A:\n"
        "    def __init__(self, c): self.c = c\n"
        "class B(A):\n"
        "    def go(self): os.system(self.c)\n"
        "B(${{ e }}).go()"
    ),
    "import os\nclass A:\n    c = ${{ e }}\nos.system(A.c)",
    "import os\nclass A:\n    c: str = ${{ e }}\n    def go(self): os.system(self.c)\nA().go()",
    "import os\nclass A:\n    c = ${{ e }}\n    d = 'ls; ' + c\nos.system(A.d)",
    "import os\nclass A(str): pass\na = A(${{ e }})\nos.system(a)",
    "import os\nd = {}\nd.update(c=${{ e }})\nos.system(d['c'])",
    "import os\ntry:\n    raise ValueError(${{ e }})\nexcept ValueError as e:\n    os.system(str(e))",
    (
        "import os\n"
        "def f(x): raise ValueError(x)\n"
        "def main():\n"
        "    try:\n"
        "        f(${{ e }})\n"
        "    except ValueError as e:\n"
        "        os.system('true; ' + e.args[0])\n"
        "main()"
    ),
    (
        "import os, types\n"
        "class A:\n"
        "    def __init__(self): self.c = 'ls'\n"
        "n = types.SimpleNamespace(c=${{ e }})\n"
        "os.system(n.c)"
    ),
    # by a pipe
    (
        "import subprocess\n"
        "def main():\n"
        "    p = subprocess.Popen(['sh'], stdin=subprocess.PIPE, text=True)\n"
        "    w = p.stdin.write\n"
        "    w(${{ e }})\n"
        "    p.stdin.close()\n"
        "    p.wait()\n"
        "main()"
    ),
    (
        "import subprocess\n"
        "send = subprocess.Popen(['sh'], stdin=subprocess.PIPE, text=True).communicate\n"
        "send(${{ e }})"
    ),
    (
        "import subprocess, sys\n"
        "p = subprocess.Popen(['sh'], stdin=subprocess.PIPE, text=True)\n"
        "sys.stdout = p.stdin\n"
        "print(${{ e }})\n"
        "sys.stdout.close()\n"
        "p.wait()"
    ),
    (
        "import contextlib, subprocess\n"
        "p = subprocess.Popen(['sh'], stdin=subprocess.PIPE, text=True)\n"
        "with contextlib.redirect_stdout(p.stdin):\n"
        "    print(${{ e }})\n"
        "p.stdin.close()\n"
        "p.wait()"
    ),
    "import subprocess\np = subprocess.Popen(['sh'], stdin=subprocess.PIPE, text=True)\np.communicate(${{ e }})",
    (
        "import subprocess\n"
        "p = subprocess.Popen(['sh'], stdin=subprocess.PIPE, text=True)\n"
        "p.stdin.write(${{ e }})\n"
        "p.stdin.close()\n"
        "p.wait()"
    ),
    (
        "import subprocess\n"
        "with subprocess.Popen(['bash', '-s'], stdin=subprocess.PIPE, text=True) as p:\n"
        "    w, x = p.stdin, ${{ e }}\n"
        "    print(x, file=w)"
    ),
    "import os\nprint(${{ e }}, file=os.popen('sh', 'w'))",
    "import os\nf = os.popen('sh', 'w')\nf.write(${{ e }})\nf.close()",
    "import os\nwith os.popen('sh', 'w') as f:\n    x = ${{ e }}\n    f.write(x)",
    # by the environment
    "import os\nos.environ['V'] = ${{ e }}\nos.system('$V')",
    "import os\nos.environ.update(V=${{ e }})\nos.system('eval \"$V\"')",
    "import os\nos.putenv('V', ${{ e }})\nos.system('$V')",
    ("import os, subprocess\nx = ${{ e }}\nsubprocess.run(['sh', '-c', 'eval \"$V\"'], env={**os.environ, 'V': x})"),
    (
        "import os, subprocess\n"
        "env = os.environ.copy()\n"
        "env['V'] = ${{ e }}\n"
        "subprocess.run(['sh', '-c', 'eval \"$V\"'], env=env)"
    ),
    (
        "import os, subprocess\n"
        "env = dict(os.environ)\n"
        "env.update([('V', ${{ e }})])\n"
        "subprocess.run(['sh', '-c', b'eval \"$V\"'], env=env)"
    ),
    "import os, subprocess\nos.environ['V'] = ${{ e }}\nsubprocess.run(['sh'], input=b'eval \"$V\"')",
    # by another name
    "import subprocess\nc = 'sh,-c'.split(',')\nsubprocess.run(c + [${{ e }}])",
    "import subprocess\nsubprocess.run([b'sh', b'-c', ${{ e }}])",
    "import subprocess\nc = 'sh -c'.split()\nsubprocess.run(c + [${{ e }}])",
    "import shlex, subprocess\nc = shlex.split('sh -c')\nc.append(${{ e }})\nsubprocess.run(c)",
    (
        "import os\n"
        "class A:\n"
        "    def __init__(s, c):\n"
        "        s.c = c\n"
        "    def go(s):\n"
        "        os.system(s.c)\n"
        "A(${{ e }}).go()"
    ),
    "import os\nclass A:\n    def go(me, c):\n        os.system(c)\nA().go(${{ e }})",
    "import os\nclass A:\n    def go(self, c):\n        os.system(c)\nA.go(None, ${{ e }})",
]
"""A program in the value runs, if such a script is bound in spite of the refusal."""
NAMED = [
    "import subprocess\nr = getattr(subprocess, 'run')\nr(['sh', '-c', ${{ e }}])",
    "f = getattr(__import__('os'), 'system')\nf(${{ e }})",
    "import operator, os\noperator.methodcaller('system', ${{ e }})(os)",
]
"""The same; a call finds the function by a name that the script says, and then the script takes no value."""
EVALUATED = [
    "import imaplib\nimaplib.IMAP4_stream(${{ e }})",
    "import pydoc\npydoc.pipepager('x', ${{ e }})",
    "import typing\ntyping.ForwardRef(${{ e }})",
    "import code\nc = code.InteractiveConsole()\nc.push(${{ e }})",
    "import os\nclass UUID(str): pass\nos.system('ls; ' + UUID(${{ e }}))",
    "import ipaddress, os\nos.system('ping ' + str(ipaddress.ip_address(${{ e }})))",
    "import subprocess\nr = subprocess.run\ngo = r\ngo(${{ e }})",
    "x = ${{ e }}\n__import__(x)",
    "import importlib\nx = ${{ e }}\nimportlib.import_module(x)",
    "import os\nx = ${{ e }}\ngetattr(os, x)()",
    "import pickle\nx = ${{ e }}\npickle.loads(x.encode())",
    "import yaml\nx = ${{ e }}\nyaml.load(x, Loader=yaml.Loader)",
    "import sqlite3\nc = sqlite3.connect('x')\nq = 'select ' + ${{ e }}\nc.execute(q)",
    "import jinja2\nx = ${{ e }}\njinja2.Template(x).render()",
    "from jinja2 import Environment\nEnvironment().from_string(${{ e }}).render()",
]
"""The value decides what is loaded, called or asked of a database."""
DATA = [
    *DATA_STARTED,
    *DATA_IMPLICIT,
    "x = ${{ e }}\nprint(int(x) + 1)",
    "import os\nx = ${{ e }}\nn = int(x)\nos.system(f'kill {n}')",
    "import os\nx = ${{ e }}\nos.system(f'kill {int(x)}')",
    "import os\nx = ${{ int(e) }}\nos.system(f'kill {x}')",
    "import json\nd = json.loads(${{ e }})\nfor k in d:\n    print(k, d[k])",
    "x = ${{ e }}\nwith open(x) as f:\n    print(f.read())",
    "import subprocess\nx = ${{ e }}\nsubprocess.run(['ls', x], check=True)",
    "import subprocess\nx = ${{ e }}\nc = ['ls', '-l', x]\nsubprocess.run(c, check=True)",
    (
        "import subprocess\n"
        "x = ${{ e }}\n"
        "c = ['ls']\n"
        "if x:\n"
        "    c.append(x)\n"
        "c += ['-l', x]\n"
        "c.extend([x])\n"
        "subprocess.run(c + [x], check=True)"
    ),
    "import subprocess\nc = []\nc.append('ls')\nc.append(${{ e }})\nsubprocess.run(c)",
    "import subprocess, sys\nx = ${{ e }}\nsubprocess.run([sys.executable, 'x.py', x])",
    "import subprocess\ntool = '/usr/bin/ls'\nx = ${{ e }}\nsubprocess.run([tool, x])",
    "import subprocess, shutil\ntool = shutil.which('ls')\nx = ${{ e }}\nsubprocess.run([tool, x])",
    (
        "import subprocess\n"
        "def run(*c):\n"
        "    print('+', *c)\n"
        "    subprocess.run(c, check=True)\n"
        "x = ${{ e }}\n"
        "run('ls', '-l', x)"
    ),
    (
        "import subprocess\n"
        "def sh(cmd):\n"
        "    return subprocess.run(cmd, check=True, capture_output=True, text=True).stdout\n"
        "x = ${{ e }}\n"
        "print(sh(['ls', x]))"
    ),
    "import subprocess\nx = ${{ e }}\nfor c in (['ls', x], ['df', x]):\n    subprocess.run(c)",
    "import subprocess\nx = ${{ e }}\ncs = [['ls', x], ['df', x]]\nfor c in cs:\n    subprocess.run(c)",
    (
        "import subprocess\n"
        "def build(x):\n"
        "    c = ['ls']\n"
        "    c.append(x)\n"
        "    return c\n"
        "c = build(${{ e }})\n"
        "subprocess.run(c)"
    ),
    "import subprocess\ndef build(x):\n    return ['ls', x]\ny = ${{ e }}\nsubprocess.run(build(y))",
    "import subprocess\ndef words(): return ['ls', ${{ e }}]\nsubprocess.run(words())",
    "import subprocess\ndef words(): return ['ls', ${{ e }}]\nsubprocess.run([*words(), '-l'])",
    "import subprocess\ndef name(): return ${{ e }}\nsubprocess.run(['ls', name()])",
    (
        "import subprocess\n"
        "class A:\n"
        "    def __init__(self, x): self.x = x\n"
        "    def words(self): return ['ls', self.x]\n"
        "    def go(self): subprocess.run(self.words(), check=True)\n"
        "A(${{ e }}).go()"
    ),
    (
        "import asyncio, subprocess\n"
        "async def words(): return ['ls', ${{ e }}]\n"
        "async def main(): subprocess.run(await words())\n"
        "asyncio.run(main())"
    ),
    "import os, shlex\ndef name(): return shlex.quote(${{ e }})\nos.system('ls ' + name())",
    "import os, shlex\ndef name(x): return shlex.quote(x)\nx = ${{ e }}\nos.system(f'ls {name(x)} -l')",
    "import os, shlex\ndef name(): return shlex.quote(${{ e }})\nc = f'ls {name()}'\nos.system(c)",
    "import os, shlex\ndef line(): return 'ls ' + shlex.quote(${{ e }})\nos.system(line())",
    "import os, urllib.parse\nx = urllib.parse.quote(${{ e }})\nos.system(f'curl https://h/{x}')",
    "import os\nfrom shlex import quote\nos.system('ls ' + quote(${{ e }}))",
    "import os, shlex as s\nos.system('ls ' + s.quote(${{ e }}))",
    "import os\ndef f(): return int(${{ e }})\nos.system(f'kill {f()}')",
    "import os\ndef f(): return ${{ e }}\nos.system('ls')\nprint(f())",
    "import os\ndef read(): return ${{ e }}\nprint(read())\nwith open('x') as f:\n    os.system(f.read())",
    "import os\ndef f(): return 'ls' if ${{ e }} == 'a' else 'df'\nos.system(f())",
    (
        "import subprocess\n"
        "from dataclasses import dataclass\n"
        "@dataclass\n"
        "class Job:\n"
        "    command: str\n"
        "    name: str = 'x'\n"
        "    def words(self): return [self.command, '-l', self.name]\n"
        "job = Job('ls', ${{ e }})\n"
        "subprocess.run([job.command, job.name])\n"
        "subprocess.run(job.words())"
    ),
    ("import subprocess\nclass Job:\n    tool = 'ls'\n    name = ${{ e }}\nsubprocess.run([Job.tool, Job.name])"),
    (
        "import os, subprocess\n"
        "from dataclasses import dataclass\n"
        "@dataclass\n"
        "class Job:\n"
        "    path: str\n"
        "job = Job(${{ e }})\n"
        "subprocess.run([os.path.join('/usr', 'bin', 'ls'), job.path])"
    ),
    (
        "import functools, os, shlex, subprocess\n"
        "def retried(times):\n"
        "    def of(f):\n"
        "        @functools.wraps(f)\n"
        "        def again(*a, **k):\n"
        "            print(f.__name__, a, k)\n"
        "            return f(*a, **k)\n"
        "        return again\n"
        "    return of\n"
        "@retried(3)\n"
        "def run(*c): subprocess.run(c, check=True)\n"
        "@retried(times=2)\n"
        "def quoted(x): return shlex.quote(x)\n"
        "run('ls', '-l', ${{ e }})\n"
        "x = ${{ e }}\n"
        "os.system('ls ' + quoted(x))"
    ),
    (
        "import enum, os\n"
        "class Zone(enum.Enum):\n"
        "    A = 'a'\n"
        "x = ${{ e }}\n"
        "zone = Zone(x)\n"
        "os.system('ls ' + zone.value)"
    ),
    (
        "import os, subprocess\n"
        "env = os.environ.copy()\n"
        "env['X'] = ${{ e }}\n"
        "subprocess.run(['sh', '-c', 'ls \"$X\"'], env=env)"
    ),
    (
        "import subprocess\n"
        "x = ${{ e }}\n"
        "try:\n"
        "    subprocess.run(['ls', x], check=True)\n"
        "except subprocess.CalledProcessError as e:\n"
        "    print(e, x)\n"
        "    subprocess.run(['logger', str(e)])\n"
        "    raise SystemExit(f'{x}: {e}')"
    ),
    "import subprocess\nd = {}\nd.update(name=${{ e }})\nsubprocess.run(['ls', d['name']])",
    "import subprocess\nc = 'ls,--'.split(',')\nsubprocess.run(c + [${{ e }}])",
    "import sys\nsys.stdout = open('log', 'w')\nprint(${{ e }})",
    (
        "import subprocess\n"
        "x = ${{ e }}\n"
        "p = subprocess.Popen(['sh'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)\n"
        "out, err = p.communicate('uptime')\n"
        "print(x, out, err)"
    ),
    "import os\ndef a(cmd):\n    os.system(cmd)\ncmd = ${{ e }}\na('ls')\nprint(cmd)",
    "import os, shlex\nx = ${{ e }}\nos.system('ls ' + shlex.quote(x))",
    "import os, shlex\nq = shlex.quote(${{ e }})\nos.system(f'ls -- {q}')",
    "import os, shlex\nq = shlex.quote(${{ e }})\nc = f'ls -- {q}'\nos.system(c)",
    "import os\nx = ${{ e }}\nos.system('ls')\nprint(x)",
    "import logging\nx = ${{ e }}\nlogging.info('run %s', x)",
    (
        "import urllib.request, json\n"
        "x = ${{ e }}\n"
        "r = urllib.request.Request('https://' + x, method='POST')\n"
        "with urllib.request.urlopen(r) as a:\n"
        "    print(json.load(a))"
    ),
    (
        "import requests\n"
        "x = ${{ e }}\n"
        "r = requests.get(f'https://{x}/api', timeout=5)\n"
        "r.raise_for_status()\n"
        "print(r.json()['a'])"
    ),
    "from pathlib import Path\np = Path(${{ e }})\nfor f in p.glob('*.log'):\n    f.unlink()",
    (
        "import subprocess\n"
        "from pathlib import Path\n"
        "for f in Path(${{ e }}).glob('*'):\n"
        "    subprocess.run(['gzip', str(f)], check=True)"
    ),
    "import sqlite3\nx = ${{ e }}\nc = sqlite3.connect('a')\nc.execute('insert into t values (?)', (x,))",
    "def go(): print(1)\nhandlers = {'a': go}\nh = handlers[${{ e }}]\nh()",
    "def go(): print(1)\nx = ${{ e }}\nh = {'a': go}.get(x)\nh()",
    "import os\nx = ${{ e }}\nif x == 'a':\n    c = 'ls'\nelse:\n    c = 'df'\nos.system(c)",
    "import os\nx = ${{ e }}\nos.environ['X'] = x\nos.system('ls \"$X\"')",
    "import subprocess\nx = ${{ e }}\nsubprocess.run(['a'], env={'X': x}, cwd=x)",
    ("import argparse\np = argparse.ArgumentParser()\np.add_argument('a')\na = p.parse_args([${{ e }}])\nprint(a.a)"),
    "import ast\nx = ${{ e }}\nprint(ast.literal_eval(x))",
    "import subprocess\nx = ${{ e }}\np = subprocess.Popen('cat', stdin=subprocess.PIPE, text=True)\np.communicate(x)",
    (
        "import subprocess\n"
        "x = ${{ e }}\n"
        "p = subprocess.Popen(['tee', 'y'], stdin=subprocess.PIPE, text=True)\n"
        "p.stdin.write(x)\n"
        "subprocess.run(['sh', 'x.sh'])"
    ),
    "import os\nx = ${{ e }}\nwith os.popen('cat > y', 'w') as f:\n    f.write(x)",
    "import os\nx = ${{ e }}\nprint(os.popen('uptime').read(), x)",
    "x = ${{ e }}\nwith open('y', 'w') as f:\n    f.write(x)",
    "import sys\nx = ${{ e }}\nprint(sys.stdin.read(), x)",
    "import subprocess\nc = 'ls --'.split()\nx = ${{ e }}\nsubprocess.run(c + [x])",
    "import string\nx = ${{ e }}\nprint(string.Template('$x').substitute(x=x))",
    "x = ${{ e }}\nprint(getattr(x, 'upper')())",
    "import os\nx = ${{ e }}\nos.environ['V'] = x\nos.system('eval \"$Y\"; ls \"$V\"')",
    (
        "import smtplib\n"
        "from email.message import EmailMessage\n"
        "m = EmailMessage()\n"
        "m['To'] = ${{ e }}\n"
        "s = smtplib.SMTP('h')\n"
        "s.send_message(m)"
    ),
]
