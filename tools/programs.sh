#!/usr/bin/env bash
# Installs the Debian packages of the programs that are named and missing: tools/programs.sh sshd busybox git venv
# Uses apt-get as root or through sudo. Where it can do neither it says what to install, and fails.
set -euo pipefail

declare -A package=([sshd]=openssh-server [ssh-keygen]=openssh-client [busybox]=busybox [strace]=strace [sudo]=sudo [git]=git [venv]=python3-venv
    [nmap]=nmap [node]=nodejs [npm]=npm [cron]=cron [logrotate]=logrotate [sysctl]=procps
    [journalctl]=systemd [sqlite3]=sqlite3 [psql]=postgresql-client [postgres]=postgresql [chromium]=chromium [rsync]=rsync [ping]=iputils-ping
    [traceroute]=traceroute [mariadb]=mariadb-client [mariadbd]=mariadb-server
    [promtool]=prometheus [krb5kdc]=krb5-kdc [kadmin.local]=krb5-admin-server [krb5-config]=libkrb5-dev [gcc]=gcc
    [rabbitmq-server]=rabbitmq-server [libc-headers]=libc6-dev [zstd]=zstd [xz]=xz-utils [curl]=curl [openssl]=openssl)

present() {
    if [[ $1 == venv ]]; then
        "${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null
    elif [[ $1 == postgres ]]; then # Debian keeps it apart for each version
        compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null
    elif [[ $1 == libc-headers ]]; then # what a C compiler needs besides itself; Debian only recommends it
        [[ -e /usr/include/stdio.h ]]
    else
        PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null
    fi
}

wanted=()
for program in "$@"; do
    present "$program" || wanted+=("${package[$program]:?no package is known for $program}")
done
[[ ${#wanted[@]} -gt 0 ]] || exit 0

refuse() {
    echo "missing: ${wanted[*]} ($1). Install them with your package manager, then call make again." >&2
    exit 1
}

command -v apt-get >/dev/null || refuse "this is not Debian or Ubuntu, so make cannot install them"
as_root=()
if [[ $(id -u) -ne 0 ]]; then
    command -v sudo >/dev/null || refuse "you are not root and there is no sudo"
    as_root=(sudo)
fi

# A server that the tests need as a program must not start listening on the machine's own address, nor cron begin to
# work: the tests start their own, on loopback. policy-rc.d is Debian's way to say so during an installation.
policy=/usr/sbin/policy-rc.d
made_policy=
tidy() { [[ -z $made_policy ]] || "${as_root[@]}" rm -f "$policy"; }
trap tidy EXIT
if [[ ! -e $policy ]]; then
    made_policy=yes
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
fi

echo "installing Debian packages: ${wanted[*]}" >&2
install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends)
"${as_root[@]}" apt-get update --quiet >&2 || refuse "apt-get update failed"
"${install[@]}" "${wanted[@]}" </dev/null >&2 || refuse "apt-get install failed"
if [[ -n $made_policy && -d /run/systemd/system ]]; then # nor at the next start
    [[ " ${wanted[*]} " != *" openssh-server "* ]] || "${as_root[@]}" systemctl disable ssh.service ssh.socket >&2 || true
    [[ " ${wanted[*]} " != *" prometheus "* ]] || "${as_root[@]}" systemctl disable prometheus.service >&2 || true
fi
