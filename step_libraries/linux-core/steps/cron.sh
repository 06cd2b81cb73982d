set -eu
fail() { echo "$*" >&2; exit 1; }
file=/etc/cron.d/$NAME
if [ "$STATE" = absent ]; then
    if [ -e "$file" ]; then rm -f -- "$file"; changed=true; else changed=false; fi
    printf '{"changed": %s}\n' "$changed"
    exit
fi
[ -d /etc/cron.d ] || fail "there is no /etc/cron.d here: no cron that reads it is installed"
[ -n "$WHEN" ] && [ -n "$RUN" ] || fail "an entry needs 'schedule' and 'command'"
id -- "$RUN_AS" >/dev/null 2>&1 || fail "there is no user '$RUN_AS'"
# cron reads every file there without a dot in its name; a half-written one has one
new=$(mktemp /etc/cron.d/.opsconductor.XXXXXXXXXX)
trap 'rm -f -- "$new"' EXIT
{
    echo "# written by OpsConductor (linux-core/cron)"
    [ -z "$MAIL_TO" ] || printf 'MAILTO="%s"\n' "$MAIL_TO"
    printf '%s %s %s\n' "$WHEN" "$RUN_AS" "$RUN"
} >"$new"
chmod 0644 "$new"
if [ -e "$file" ] && cmp -s -- "$new" "$file"; then echo '{"changed": false}'; exit; fi
mv -f -- "$new" "$file"
echo '{"changed": true}'
