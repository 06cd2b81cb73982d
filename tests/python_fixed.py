"""Scripts for Python that use a value and start commands whose text is their own, and some whose text may not be."""

X = "x = ${{ e }}\n"
OPS = "import datetime, glob, json, os, platform, shlex, shutil, subprocess, sys, time\nfrom pathlib import Path\n" + X
FIXED = [
    OPS + script
    for script in (
        "subprocess.run('df -h | tail -n 1', shell=True, check=True)\nprint(x)",
        "out = subprocess.check_output('ps aux | wc -l', shell=True, text=True).strip()\nprint(x, int(out))",
        "for name in ('nginx', 'redis'):\n    os.system(f'systemctl restart {name}')\nprint(x)",
        "services = ['nginx', 'redis']\nfor name in services:\n    os.system('systemctl restart ' + name)\nprint(x)",
        "today = datetime.date.today().isoformat()\nos.system(f'tar czf /backup/{today}.tgz /etc')\nprint(x)",
        "stamp = datetime.datetime.now().strftime('%Y%m%d')\nsubprocess.run(f'pg_dump a | gzip > /b/{stamp}.gz', "
        "shell=True, check=True)\nprint(x)",
        "home = os.environ['HOME']\nos.system(f'ls {home}/bin')\nprint(x)",
        "path = os.path.join(os.environ.get('HOME', '/root'), 'bin')\nos.system('du -sh ' + path)\nprint(x)",
        "info = json.loads(subprocess.check_output(['ip', '-j', 'addr']))\nos.system('uptime')\n"
        "print([one['ifname'] for one in info if one['ifname'] == x])",
        "os.environ['NAME'] = x\nos.system('ls -- \"$NAME\"')",
        "subprocess.run('pg_dump \"$DB\" | gzip > /b/a.gz', shell=True, check=True, env={**os.environ, 'DB': x})",
        "env = os.environ.copy()\nenv['DB'] = x\n"
        "subprocess.run('pg_dump \"$DB\" > a', shell=True, check=True, env=env)",
        "subprocess.run('make | tee log', shell=True, check=True, cwd=x)",
        "def sh(command):\n    print('+', command)\n    subprocess.run(command, shell=True, check=True)\n"
        "sh('uptime')\nsh('df -h')\nsubprocess.run(['ls', '--', x], check=True)",
        "def restart(name):\n    os.system(f'systemctl restart {name}')\n\ndef main():\n    for name in ['a', 'b']:\n"
        "        restart(name)\n    print('done', x)\n\nmain()",
        "checks = {'disk': 'df -h', 'memory': 'free -m'}\nfor title, command in checks.items():\n    print(title)\n"
        "    os.system(command)\nprint(x)",
        "checks = [('disk', 'df -h'), ('memory', 'free -m')]\nfor title, command in checks:\n    print(title, x)\n"
        "    os.system(command)",
        "steps = [{'name': 'a', 'run': 'df -h'}, {'name': 'b', 'run': 'free -m'}]\nfor step in steps:\n"
        "    print(step['name'], x)\n    os.system(step['run'])",
        "commands = {'start': 'systemctl start a', 'stop': 'systemctl stop a'}\n"
        "command = commands[x]\nos.system(command)",
        "command = 'systemctl start a' if x == 'start' else 'systemctl stop a'\nos.system(command)",
        "command = 'apt-get -y'\ncommand += ' install'\ncommand += ' curl'\nos.system(command)\nprint(x)",
        "parts = ['df', '-h']\nparts.append('/var')\nos.system(' '.join(parts))\nprint(x)",
        "tool = shutil.which('gzip') or '/bin/gzip'\nos.system(f'{tool} -V')\nsubprocess.run([tool, '--', x])",
        "n = int(x)\nos.system(f'head -n {n} /var/log/syslog')\nos.system('sleep %d' % n)\n"
        "os.system('nice -n {} ls'.format(n))",
        "for number in range(int(x)):\n    os.system(f'ping -c 1 10.0.0.{number + 1}')",
        "old = datetime.date.today() - datetime.timedelta(days=int(x))\nos.system(f'rm -f /backup/{old:%Y-%m-%d}.tgz')",
        "for path in sorted(glob.glob('/var/log/*.log')):\n    os.system('gzip ' + shlex.quote(path))\nprint(x)",
        "for path in Path('/var/log').glob('*.log'):\n"
        "    subprocess.run(['gzip', '--', str(path)], check=True)\nprint(x)",
        "base = Path('/srv') / 'app'\nos.system(f'ls {base}')\n(base / 'name').write_text(x)",
        "if platform.system() == 'Linux':\n    os.system(f'echo {platform.node()}')\nprint(x)",
        "subprocess.run([sys.executable, '-m', 'pip', 'install', 'wheel'], check=True)\nprint(x)",
        "class Service:\n    def __init__(self, name):\n        self.name = name\n    def restart(self):\n"
        "        os.system(f'systemctl restart {self.name}')\nfor name in ('a', 'b'):\n"
        "    Service(name).restart()\nprint(x)",
        "def retry(times):\n    def of(function):\n        def wrapper(*args, **kwargs):\n"
        "            for _ in range(times):\n                if function(*args, **kwargs) == 0:\n"
        "                    return\n"
        "                time.sleep(1)\n        return wrapper\n    return of\n@retry(3)\n"
        "def sh(command):\n    return os.system(command)\nsh('apt-get update')\nprint(x)",
        "results = {}\nfor host in ['a', 'b']:\n    results[host] = os.system(f'ping -c 1 {host}')\n"
        "results['asked'] = x\nprint(json.dumps(results))",
        "hosts = ['a', 'b']\nreport = {'hosts': hosts, 'asked': x}\nprint(json.dumps(report))\n"
        "for host in hosts:\n    os.system(f'ping -c 1 {host}')",
        "with open('/tmp/report', 'w') as f:\n    f.write(x)\nos.system('wc -l /tmp/report')",
        "name = 'a'\nsubprocess.run(['ls', name, x])\nprint(name, x, file=sys.stderr)\nos.system(f'ls {name}')",
        "try:\n    subprocess.run('false | true', shell=True, check=True, capture_output=True)\n"
        "except subprocess.CalledProcessError as error:\n    print(error.stderr, x)\n    sys.exit(1)",
        "def parse(text):\n    return dict(line.split('=', 1) for line in text.splitlines())\nsettings = parse(x)\n"
        "os.system('uptime')\nprint(settings.get('name'))",
        "import logging\nlogging.basicConfig(level=logging.INFO)\nlog = logging.getLogger('a')\nhosts = ['a', 'b']\n"
        "log.info('%s of %s', x, hosts)\nfor host in hosts:\n    os.system('ping -c 1 ' + host)",
        "from concurrent.futures import ThreadPoolExecutor\ndef ping(host):\n"
        "    return subprocess.run(['ping', '-c', '1', host]).returncode\nhosts = ['a', 'b']\n"
        "with ThreadPoolExecutor() as pool:\n    print(x, list(pool.map(ping, hosts)))\nos.system('uptime')",
        "user = subprocess.run(['id', '-un'], capture_output=True, text=True).stdout.strip()\n"
        "os.system(f'crontab -l -u {user}')\n"
        "print(x)",
        "words = ['rsync', '-a']\nif x:\n    words += ['--exclude', x]\nwords += ['/srv/', '/backup/']\n"
        "subprocess.run(words, check=True)\nsubprocess.run('df | tail -n 1', shell=True)",
    )
]
"""Ordinary work: the value is data, and the commands are the script's own."""
TAINTED = [
    "import os, subprocess\n" + script
    for script in (
        # by another name of a method, and by functions that put the one into the other
        "a = []\ng = a.append\ng(${{ e }})\nos.system(a[0])",
        "a = []\nlist(map(a.append, [${{ e }}]))\nos.system(a[0])",
        "a = []\nlist.append(a, ${{ e }})\nos.system(a[0])",
        "a = {}\ndict.__setitem__(a, 'x', ${{ e }})\nos.system(a['x'])",
        "a = []\ngetattr(a, 'append')(${{ e }})\nos.system(a[0])",
        "import operator\na = {}\noperator.setitem(a, 'x', ${{ e }})\nos.system(a['x'])",
        "a = {}\n(b := a)['x'] = ${{ e }}\nos.system(a['x'])",
        "a = []\nc = {'k': a}\nc['k'].append(${{ e }})\nos.system(a[0])",
        "a = []\nc = (a,)\nc[0].append(${{ e }})\nos.system(a[0])",
        "a = ['ls']\ndef f(): return a\nf()[0] = ${{ e }}\nos.system(a[0])",
        "a = ['ls']\ndef f(**q): q['z'][0] = ${{ e }}\nf(z=a)\nos.system(a[0])",
        "a = ['ls']\nmatch a:\n    case q: q[0] = ${{ e }}\nos.system(a[0])",
        "a = ['ls']\nfor b in [a]:\n    b[0] = ${{ e }}\nos.system(a[0])",
        "import io\ns = io.StringIO()\nprint(${{ e }}, file=s)\nos.system(s.getvalue())",
        "import contextlib, io\ns = io.StringIO()\nwith contextlib.redirect_stdout(s):\n    print(${{ e }})\n"
        "os.system(s.getvalue())",
        "import queue\nq = queue.Queue()\np = q.put\np(${{ e }})\nos.system(q.get())",
        "r, w = os.pipe()\nos.write(w, ${{ e }}.encode())\nos.close(w)\nos.system(os.read(r, 999).decode())",
        # by what Python calls itself
        "import sys\ntry:\n    sys.exit(${{ e }})\nexcept SystemExit as q:\n    os.system(q.code)",
        'try:\n    int(${{ e }})\nexcept ValueError as q:\n    os.system(str(q).split("\'")[1])',
        "class A:\n    def __eq__(self, v): os.system(v)\nA() == ${{ e }}",
        "class A:\n    def __str__(self): return ${{ e }}\nos.system(f'{A()}')",
        "class A:\n    def __enter__(self): pass\n    def __exit__(self, t, v, b):\n"
        "        os.system(str(v))\n        return True\n"
        "with A():\n    raise ValueError(${{ e }})",
        "class A:\n    def __init_subclass__(cls, x): os.system(x)\nclass B(A, x=${{ e }}): pass",
        "def deco(f):\n    def w(f): return f(${{ e }})\n    return w\n@deco\ndef go(): pass\nos.system(go(str))",
        "def deco(f):\n    def w(): f(${{ e }})\n    return w\n@deco\ndef go(c='ls'): os.system(c)\ngo()",
        # lists that begin elsewhere
        "a = ('sh', '-c')\nsubprocess.run((*a, ${{ e }}))",
        "a = ('sh', '-c')\nsubprocess.run(a + (${{ e }},))",
        "a = ('sh', '-c')\nb = (*a, ${{ e }})\nsubprocess.run(b)",
        "a = ['sh', '-c']\ng = a.append\ng(${{ e }})\nsubprocess.run(a)",
        # quoted, and not any more
        "import shlex\nos.system('ls ' + shlex.quote(${{ e }}).strip(\"'\"))",
        "import shlex\nq = shlex.quote(${{ e }}).strip(\"'\")\nos.system('ls ' + q)",
        # numbers, of which characters are made
        "os.system(''.join(chr(ord(c)) for c in ${{ e }}))",
        "os.system(''.join('%c' % ord(c) for c in ${{ e }}))",
        "os.system(''.join(f'{ord(c):c}' for c in ${{ e }}))",
        "os.system(bytes(ord(c) for c in ${{ e }}).decode())",
        # by the environment
        "e = os.environ.__setitem__\ne('V', ${{ e }})\nos.system(os.getenv('V'))",
        "os.environ['V'] = ${{ e }}\nos.system(dict(os.environ)['V'])",
        # a shell
        "a = []\ng = a.append\ng(${{ e }})\nsubprocess.run(a[0], shell=True)",
        "a = []\ng = a.append\ng(${{ e }})\nsubprocess.run('sh', shell=True, input=a[0], text=True)",
        "a = []\ng = a.append\ng(${{ e }})\nsubprocess.run(['sh'], input=a[0], text=True)",
        "subprocess.run('ls; ' + ${{ e }}, shell=True)",
        "subprocess.run('eval \"$V\"', shell=True, env={'V': ${{ e }}})",
    )
]
"""Ways of a value that a scan which only follows it does not see: a program in it runs, if such a script is bound."""
UNPROVEN = [
    *TAINTED,
    *(
        OPS + script
        for script in (
            "os.system(sys.argv[1])\nprint(x)",
            "os.system(input())\nprint(x)",
            "import settings\nos.system(settings.command())\nprint(x)",
            "def go(command): os.system(command)\nhandlers = {'a': go}\nhandlers['a']('ls')\nprint(x)",
            "exec('exec(a)')\nprint(x)",
        )
    ),
]
"""What is evaluated is not proven to be the script's own."""
