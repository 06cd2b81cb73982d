set -eu
fail() { echo "$*" >&2; exit 1; }
command -v journalctl >/dev/null || fail "journalctl is not here: this host has no systemd journal"
[ -n "$KEEP_DAYS$MAX_MIB" ] || fail "it needs 'keepDays' or 'maxMiB'"
size() {
    for folder in /var/log/journal /run/log/journal; do
        if [ -d "$folder" ]; then find "$folder" -type f -exec wc -c {} +; fi
    done | awk '$2 != "total" { sum += $1 } END { printf "%d\n", sum }'
}
before=$(size)
set --
[ -z "$KEEP_DAYS" ] || set -- "--vacuum-time=${KEEP_DAYS}d"
[ -z "$MAX_MIB" ] || set -- "$@" "--vacuum-size=${MAX_MIB}M"
journalctl "$@" >&2
freed=$((before - $(size)))
if [ "$freed" -gt 0 ]; then changed=true; else changed=false freed=0; fi
printf '{"freed": %s, "changed": %s}\n' "$freed" "$changed"
