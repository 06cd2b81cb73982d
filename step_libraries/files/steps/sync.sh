set -eu
fail() { echo "$*" >&2; exit 1; }
command -v rsync >/dev/null || fail "rsync is not installed here"
[ -d "$SOURCE" ] || fail "there is no folder $SOURCE"
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
printf '%s\n' "$EXCLUDE" | sed 's/^\[//; s/\]$//; s/^"//; s/"$//; s/","/\
/g' >"$work/exclude"
set -- --archive --itemize-changes "--exclude-from=$work/exclude"
[ "$DELETE" != true ] || set -- "$@" --delete
[ "$DRY_RUN" = true ] && set -- "$@" --dry-run || mkdir -p -- "$DESTINATION"
LC_ALL=C rsync "$@" -- "${SOURCE%/}/" "${DESTINATION%/}/" >"$work/said"
cat "$work/said" >&2
files=$(grep -c . "$work/said") || true
if [ "$files" -gt 0 ] && [ "$DRY_RUN" != true ]; then changed=true; else changed=false; fi
printf '{"files": %s, "changed": %s}\n' "$files" "$changed"
