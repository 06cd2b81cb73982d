set -eu
fail() { echo "$*" >&2; exit 1; }
command -v pg_dump >/dev/null || fail "pg_dump is not installed here"
# no value is no setting: an empty PGHOST is not the same to libpq as none
[ -n "$PGHOST" ] || unset PGHOST
[ -n "$PGPASSWORD" ] || unset PGPASSWORD
[ -z "$LOGIN" ] || export PGUSER="$LOGIN"
half=$FILE.part.$$
trap 'rm -f -- "$half"' EXIT
umask 077
pg_dump --no-password --format=custom "--file=$half" "--dbname=$DATABASE"
pg_restore --list "$half" >/dev/null || fail "the dump cannot be read back"
mv -f -- "$half" "$FILE"
printf '{"file": "%s", "size": %s, "sha256": "%s"}\n' \
    "$FILE" "$(wc -c <"$FILE" | tr -d ' ')" "$(sha256sum <"$FILE" | cut -d ' ' -f 1)"
