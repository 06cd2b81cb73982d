set -eu
fail() { echo "$*" >&2; exit 1; }
case $HOST in -*) fail "'$HOST' is no host" ;; esac
# whichever is here; each says by its exit code alone whether the connection was made
if command -v nc >/dev/null; then
    attempt() { nc -z -w "$SECONDS_AT_MOST" "$HOST" "$PORT"; }
elif command -v bash >/dev/null && command -v timeout >/dev/null; then
    attempt() { timeout "$SECONDS_AT_MOST" bash -c 'exec 3<>"/dev/tcp/$HOST/$PORT"'; }
elif command -v python3 >/dev/null; then
    attempt() { python3 -c 'import os, socket; e = os.environ; socket.create_connection((e["HOST"], int(e["PORT"])), int(e["SECONDS_AT_MOST"]))'; }
else
    fail "none of nc, bash and python3 is here to try a port with"
fi
if attempt >&2; then open=true found=open; else open=false found=closed; fi
[ "$found" = "$WANTED" ] || fail "$HOST port $PORT is $found"
printf '{"open": %s}\n' "$open"
