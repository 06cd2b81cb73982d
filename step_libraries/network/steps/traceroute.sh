set -eu
fail() { echo "$*" >&2; exit 1; }
PATH=$PATH:/usr/sbin:/sbin
command -v traceroute >/dev/null || fail "traceroute is not installed here"
case $HOST in -*) fail "'$HOST' is no host" ;; esac
said=$(LC_ALL=C traceroute -n -q 1 -w 3 -m "$MAX_HOPS" "$HOST" 2>&1) || { printf '%s\n' "$said" >&2; fail "$HOST cannot be looked for"; }
printf '%s\n' "$said" >&2
goal=$(printf '%s\n' "$said" | sed -n '1s/.*(\([0-9A-Fa-f.:]*\)).*/\1/p')
way=$(printf '%s\n' "$said" | sed 1d | awk '{ print $2 }')
[ -n "$goal" ] && [ "$(printf '%s\n' "$way" | tail -n 1)" = "$goal" ] || fail "$HOST was not reached within $MAX_HOPS hops"
printf '%s\n' "$way" | awk 'BEGIN { printf "{\"way\": [" } { printf "%s\"%s\"", (NR > 1 ? ", " : ""), $1 } END { printf "], \"hops\": %d}\n", NR }'
