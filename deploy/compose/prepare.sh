#!/usr/bin/env bash
# Makes what compose.yaml needs and must not be in git, once, as root: whoever runs in the containers has number 10001.
# What is there already is left as it is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
umask 077
readonly NUMBER=10001
if [[ $(id -u) -ne 0 ]]; then
    echo "call it as root: what it makes has to belong to number $NUMBER, who runs in the containers" >&2
    exit 1
fi
random() { od -An -vtx1 -N24 /dev/urandom | tr -d ' \n'; }

mkdir -p secrets job-secrets ssh
if [[ ! -s secrets/pgpass ]]; then
    password=$(random)
    printf '%s\n' "$password" >secrets/postgres-password
    printf 'postgres:5432:opsconductor:opsconductor:%s\n' "$password" >secrets/pgpass
fi
[[ -s secrets/dashboard-token ]] || random >secrets/dashboard-token
chown -R "$NUMBER:$NUMBER" secrets job-secrets ssh
chmod 0400 secrets/*
