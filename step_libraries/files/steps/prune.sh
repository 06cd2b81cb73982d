set -eu
fail() { echo "$*" >&2; exit 1; }
[ -n "$DAYS$NEWEST" ] || fail "it needs 'olderThanDays' or 'keepNewest'"
[ -d "$FOLDER" ] || fail "there is no folder $FOLDER"
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
# newest first; a name with a line end is nobody's backup
find "$FOLDER/" -maxdepth 1 -type f -name "$MATCH" ! -name '*
*' -exec stat -c '%Y %s %n' {} + | sort -rn >"$work/all"
# awk decides: to it what it reads are numbers and texts, never commands
NOW=$(date +%s) CHANGES=$([ "$DRY_RUN" = true ] && echo false || echo true) awk -v out="$work/out" '
    BEGIN { days = ENVIRON["DAYS"]; newest = ENVIRON["NEWEST"] }
    {
        path = $0
        sub(/^[0-9]+ [0-9]+ /, "", path)
        keep = (newest != "" && NR <= newest + 0) || (days != "" && ENVIRON["NOW"] - $1 <= days * 86400)
        if (keep) kept++
        else { removed++; freed += $2; print path > out }
    }
    END {
        changed = (removed > 0 && ENVIRON["CHANGES"] == "true") ? "true" : "false"
        printf "{\"removed\": %d, \"kept\": %d, \"freed\": %.0f, \"changed\": %s}\n", removed, kept, freed, changed
    }
' "$work/all" >"$work/said"
[ -e "$work/out" ] || : >"$work/out"
while IFS= read -r path; do
    printf '%s\n' "$path" >&2
    [ "$DRY_RUN" = true ] || rm -f -- "$path"
done <"$work/out"
cat "$work/said"
