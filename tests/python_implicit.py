"""Scripts for Python in which a value goes on by ways that have no name: by what Python calls itself, and the like."""

RUN_IMPLICIT = [
    "import os\ndef g():\n    yield from [${{ e }}]\nfor c in g(): os.system(c)",
    "import os\ndef g():\n    yield from [${{ e }}]\nos.system(next(g()))",
    (
        "import os\n"
        "def g():\n"
        "    c=yield\n"
        "    os.system(c)\n"
        "x=g(); next(x)\n"
        "try: x.send(${{ e }})\n"
        "except StopIteration: pass"
    ),
    "import os\ndef g():\n    os.system((yield))\nx=g(); next(x)\ntry: x.send(${{ e }})\nexcept StopIteration: pass",
    (
        "import os\n"
        "class A:\n"
        "    def __enter__(self): return ${{ e }}\n"
        "    def __exit__(self,*a): pass\n"
        "with A() as c: os.system(c)"
    ),
    "import os\nclass A:\n    def __iter__(self): yield ${{ e }}\nfor c in A(): os.system(c)",
    "import os\nclass A:\n    def __getitem__(self,k): return ${{ e }}\nos.system(A()['a'])",
    "import os\nclass A:\n    def __add__(self,o): return ${{ e }}\na=A()\nos.system(a+'x')",
    "import os\nclass A:\n    def __add__(self,o): os.system(o)\na=A()\na+${{ e }}",
    "import os\nclass A:\n    def __setitem__(self,k,v): os.system(v)\na=A()\na['x']=${{ e }}",
    "import os\nclass A:\n    def __getattr__(self, n): return ${{ e }}\nos.system(A().x)",
    "import os\nimport collections\nd=collections.defaultdict(list)\nd['a'].append(${{ e }})\nos.system(d['a'][0])",
    "import os\nd={}\nd.setdefault('a',[]).append(${{ e }})\nos.system(d['a'][0])",
    "import os\nd={}\nd.__setitem__('a',${{ e }})\nos.system(d['a'])",
    "import os\nimport heapq\nh=[]\nheapq.heappush(h,${{ e }})\nos.system(h[0])",
    (
        "import os\n"
        "import configparser\n"
        "c=configparser.ConfigParser()\n"
        "c.add_section('s')\n"
        "c.set('s','k',${{ e }})\n"
        "os.system(c.get('s','k'))"
    ),
    "import os\nimport io\nb=io.StringIO()\nb.write(${{ e }})\nos.system(b.getvalue())",
    "import os\nimport contextvars\nv=contextvars.ContextVar('v')\nv.set(${{ e }})\nos.system(v.get())",
    "import os\nx=${{ e }}\nos.system('echo {x}'.format(**locals()))",
    "import os\nx=${{ e }}\nos.system('echo %(x)s' % locals())",
    "import os\nx=${{ e }}\nos.system('echo {x}'.format(**vars()))",
    "import os\nx=${{ e }}\nos.system(globals()['x'])",
    "import os\ndef f(name):\n  os.system('echo {name}'.format(**locals()))\nf(${{ e }})",
    "import os\nclass A: pass\na=A()\na.c=${{ e }}\nos.system('echo {c}'.format(**vars(a)))",
    "import os\nclass A: pass\na=A()\na.c=${{ e }}\nos.system('echo {c}'.format(**a.__dict__))",
    "import os\nclass A: pass\na=A()\na.c=${{ e }}\nos.system(getattr(a,'c'))",
    "import os\nglobals()['x']=${{ e }}\nos.system(x)",
    "import os\nn='x'\nglobals()[n]=${{ e }}\nos.system(x)",
    "import os\nglobals().update(x=${{ e }})\nos.system(x)",
    "import os\nclass A: pass\na=A()\nsetattr(a,'c',${{ e }})\nos.system(a.c)",
    "import os\nclass A: pass\na=A()\nn='c'\nsetattr(a,n,${{ e }})\nos.system(a.c)",
    "import os\nclass A: pass\na=A()\na.__dict__['c']=${{ e }}\nos.system(a.c)",
    "import os\nclass A: pass\na=A()\na.__dict__.update(c=${{ e }})\nos.system(a.c)",
    "import os\nx=${{ e }}\nexec('os.system(x)')",
    "import os\nx=${{ e }}\neval('os.system(x)')",
    "import subprocess\nkw=dict(input=${{ e }}, text=True)\nsubprocess.run(['sh'], **kw)",
    "import subprocess\nkw={'input': ${{ e }}, 'text': True}\nsubprocess.run(['sh'], **kw)",
    "import subprocess\nkw={}\nkw['input']=${{ e }}\nkw['text']=True\nsubprocess.run(['sh'], **kw)",
    "import subprocess\ndef f(**kw): subprocess.run(['sh'], **kw)\nf(input=${{ e }}, text=True)",
    "import subprocess\nkw=dict(args=${{ e }})\nsubprocess.run(**kw)",
    "import subprocess\nimport functools\nfunctools.partial(subprocess.run,['sh'],input=${{ e }},text=True)()",
    (
        "import asyncio, subprocess\n"
        "async def m(): await asyncio.to_thread(subprocess.run,['sh'],input=${{ e }},text=True)\n"
        "asyncio.run(m())"
    ),
    "import asyncio, subprocess\nasync def m(): await asyncio.to_thread(subprocess.run,${{ e }})\nasyncio.run(m())",
    "import subprocess\nlist(map(subprocess.run,[${{ e }}]))",
    "from subprocess import run\nlist(map(run,[${{ e }}]))",
    "import os\nimport urllib.parse\nos.system('echo ' + urllib.parse.quote(${{ e }}, safe=' ;$()'))",
    "import os\nimport urllib.parse\nos.system('echo ' + urllib.parse.quote(${{ e }}, ' ;$()'))",
    "import os\ndef w(c): os.system(c)\nz = w\nz(${{ e }})",
    "import os\ndef w(c): os.system(c)\nh={'a': w}\nf=h['a']\nf(${{ e }})",
    "import os\ndef w(c): os.system(c)\nh={'a': w}\nf=h.get('a')\nf(${{ e }})",
    "import os\ndef w(c): os.system(c)\nfor f in [w]: f(${{ e }})",
    (
        "import os\n"
        "class A:\n"
        "    def __init__(s,f): s.f=f\n"
        "    def go(s,x): s.f(x)\n"
        "def w(c): os.system(c)\n"
        "A(w).go(${{ e }})"
    ),
    "import os\nclass A:\n    def w(s,c): os.system(c)\nf=A().w\nf(${{ e }})",
    "import os\nclass A:\n  def __call__(self, x): os.system(x)\na=A()\na(${{ e }})",
    "import os\nclass A:\n  def __call__(self, x): os.system(x)\nA()(${{ e }})",
    "import os\ndef w(): return ${{ e }}\nz=w\nos.system(z())",
    "import os\ndef w(): return ${{ e }}\nh={'a':w}\nf=h['a']\nos.system(f())",
    "import os\nint = str\nos.system('echo ' + int(${{ e }}))",
    "import os\ndef f(int): os.system('echo ' + int(${{ e }}))\nf(str)",
    "import os\nfor float in [str]: os.system('echo ' + float(${{ e }}))",
    "import os\ntry:\n  assert False, ${{ e }}\nexcept AssertionError as x:\n  os.system(str(x))",
    (
        "import os\n"
        "import sys\n"
        "try:\n"
        "  raise ValueError(${{ e }})\n"
        "except ValueError:\n"
        "  os.system(str(sys.exc_info()[1]))"
    ),
    # an object that has two names
    "import os\na = b = []\na.append(${{ e }})\nos.system(b[0])",
    "import os\na = []\ndef put(l): l.append(${{ e }})\nput(a)\nos.system(a[0])",
    "import os\na = {}\ndef put(l, v): l['x'] = v\nput(a, ${{ e }})\nos.system(a['x'])",
    "import os\na = {'b': []}\nb = a['b']\nb.append(${{ e }})\nos.system(a['b'][0])",
    "import os\na = [[]]\nfor b in a: b.append(${{ e }})\nos.system(a[0][0])",
    "import os\nd = {}\ndef get(): return d\nget().update(a=${{ e }})\nos.system(d['a'])",
    "import os\nd = {}\ndef get(): return d\nget()['a'] = ${{ e }}\nos.system(d['a'])",
    "import os\nclass A(dict):\n    def go(self): os.system(self['c'])\na = A()\na['c'] = ${{ e }}\na.go()",
    (
        "import os\n"
        "class A:\n"
        "    def __init__(self, c): self.c = c\n"
        "    def __iter__(self): return iter([self.c])\n"
        "    def go(self):\n"
        "        for c in self: os.system(c)\n"
        "A(${{ e }}).go()"
    ),
    "import os\nx = (lambda: ${{ e }})()\nos.system(x)",
    "import subprocess\nclass Quiet(subprocess.Popen): pass\nQuiet(['sh', '-c', ${{ e }}]).wait()",
]
"""A program in the value runs, if such a script is bound in spite of the refusal."""
DATA_IMPLICIT = [
    (
        "import subprocess\n"
        "base = ['ls', '-l']\n"
        "def run(words, *more):\n"
        "    words = list(words)\n"
        "    words.extend(more)\n"
        "    subprocess.run(words, check=True)\n"
        "def add(words, x): words.append(x)\n"
        "run(base, 'a')\n"
        "add(base, ${{ e }})\n"
        "subprocess.run(base)"
    ),
    (
        "import subprocess\n"
        "class Job:\n"
        "    command = ['ls']\n"
        "    def __init__(self, name):\n"
        "        self.name, self.done = name, []\n"
        "    def __iter__(self): return iter(self.done)\n"
        "    def run(self):\n"
        "        self.done.append(self.name)\n"
        "        subprocess.run([*self.command, '--', self.name], check=True)\n"
        "job = Job(${{ e }})\n"
        "job.run()\n"
        "print([*job])"
    ),
    "import sys\nx = ${{ e }}\nfor c in iter(lambda: sys.stdin.readline(), ''): print(c.format(**locals()))",
    "import subprocess\nopts = {'cwd': ${{ e }}, 'check': True}\nsubprocess.run(['ls', '-l'], **opts)",
    (
        "import subprocess\n"
        "def run(c, **kw): return subprocess.run(c, check=True, **kw)\n"
        "run(['ls', ${{ e }}], cwd=${{ e }})"
    ),
    "import os, subprocess\nkw = dict(env={**os.environ, 'NAME': ${{ e }}})\nsubprocess.run(['make'], **kw)",
    "import os, urllib.parse\nx = urllib.parse.quote(${{ e }}, safe='')\nos.system(f'curl https://h/{x}')",
    "import subprocess\nlog = open('log', 'a')\nlog.write(${{ e }})\nsubprocess.run(['gzip', log.name])",
    "import logging, os\nlog = logging.getLogger('x')\nlog.info('at %s', ${{ e }})\nos.system('uptime')",
    (
        "import collections, subprocess\n"
        "hosts = collections.defaultdict(list)\n"
        "hosts['a'].append(${{ e }})\n"
        "for host in hosts['a']: subprocess.run(['ping', '-c', '1', '--', host], check=True)"
    ),
    (
        "import subprocess\n"
        "class Lock:\n"
        "    def __init__(self, path): self.path = path\n"
        "    def __enter__(self):\n"
        "        self.file = open(self.path, 'w')\n"
        "        return self.file\n"
        "    def __exit__(self, *a): self.file.close()\n"
        "with Lock(${{ e }}) as f:\n"
        "    f.write('x')\n"
        "    subprocess.run(['ls', '-l'], check=True)"
    ),
    (
        "import subprocess\n"
        "def start(name): subprocess.run(['systemctl', 'start', name], check=True)\n"
        "def stop(name): subprocess.run(['systemctl', 'stop', name], check=True)\n"
        "act = {'start': start, 'stop': stop}[${{ e }}]\n"
        "act(${{ e }})"
    ),
    (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "import subprocess\n"
        "with ThreadPoolExecutor() as pool:\n"
        "    pool.submit(subprocess.run, ['ls', ${{ e }}])"
    ),
    (
        "import asyncio, subprocess\n"
        "async def main(): await asyncio.to_thread(subprocess.run, ['ls', ${{ e }}], check=True)\n"
        "asyncio.run(main())"
    ),
    (
        "import subprocess\n"
        "def names():\n"
        "    yield from ('a', ${{ e }})\n"
        "for name in names(): subprocess.run(['ls', '--', name])"
    ),
    (
        "import configparser, subprocess\n"
        "c = configparser.ConfigParser()\n"
        "c.read('x.ini')\n"
        "c.set('main', 'host', ${{ e }})\n"
        "subprocess.run(['ping', c.get('main', 'host')])"
    ),
]
