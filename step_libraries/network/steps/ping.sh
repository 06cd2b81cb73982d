set -eu
fail() { echo "$*" >&2; exit 1; }
command -v ping >/dev/null || fail "ping is not installed here"
case $HOST in -*) fail "'$HOST' is no host" ;; esac
said=$(LC_ALL=C ping -c "$COUNT" -W 5 "$HOST" 2>&1) || true
printf '%s\n' "$said" >&2
# of iputils and of busybox: "4 packets transmitted, 4 ... received, 0% packet loss", "min/avg/max = 0.1/0.2/0.3 ms"
loss=$(printf '%s\n' "$said" | sed -n 's/.* \([0-9.]*\)% packet loss.*/\1/p' | awk '{ n = int($1); print ($1 > n) ? n + 1 : n; exit }')
[ -n "$loss" ] || fail "$HOST could not be asked"
average=$(printf '%s\n' "$said" | sed -n 's,.*min/avg/max[^=]*= *[0-9.]*/\([0-9.]*\)/.*,\1,p' | head -n 1)
[ "$loss" -le "$MAX_LOSS" ] || fail "$HOST: $loss% of the pings were lost"
printf '{"lossPercent": %s, "averageMs": %s}\n' "$loss" "${average:-0}"
