# What it did is read from its own words, which are those of logrotate 3.8 and later.
set -eu
fail() { echo "$*" >&2; exit 1; }
PATH=$PATH:/usr/sbin:/sbin
command -v logrotate >/dev/null || fail "logrotate is not installed here"
[ -r "$CONFIG" ] || fail "there is no configuration $CONFIG"
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

config=$CONFIG
if [ -n "$KEEP_DAYS" ]; then
    config=$work/config
    printf 'maxage %s\ninclude %s\n' "$KEEP_DAYS" "$CONFIG" >"$config"
    chmod 0644 "$config"
fi

# bytes of the log files that it considers, with those that were rotated before
size() {
    total=0
    while IFS= read -r log; do
        for file in "$log" "$log"[-.]*; do
            if [ -f "$file" ]; then total=$((total + $(wc -c <"$file"))); fi
        done
    done <"$work/logs"
    echo "$total"
}

LC_ALL=C logrotate --debug "$config" >"$work/debug" 2>&1 || { cat "$work/debug" >&2; fail "logrotate refuses $CONFIG"; }
sed -n 's/^considering log //p' "$work/debug" >"$work/logs"
before=$(size)
set --
[ "$FORCE" != true ] || set -- --force
[ -z "$STATE_FILE" ] || set -- "$@" --state "$STATE_FILE"
LC_ALL=C logrotate --verbose "$@" "$config" >"$work/said" 2>&1 || { cat "$work/said" >&2; fail "logrotate failed"; }
cat "$work/said" >&2
rotated=$(grep -c '^  log needs rotating' "$work/said") || true
sed -n 's/^considering log //p' "$work/said" >"$work/logs"
after=$(size)
freed=$((before - after))
[ "$freed" -ge 0 ] || freed=0
if [ "$rotated" -gt 0 ]; then changed=true; else changed=false; fi
printf '{"freed": %s, "rotated": %s, "changed": %s}\n' "$freed" "$rotated" "$changed"
