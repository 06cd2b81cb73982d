set -eu
fail() { echo "$*" >&2; exit 1; }
command -v pg_restore >/dev/null || fail "pg_restore is not installed here"
[ -r "$FILE" ] || fail "there is no dump $FILE that can be read"
[ -n "$PGHOST" ] || unset PGHOST
[ -n "$PGPASSWORD" ] || unset PGPASSWORD
[ -z "$LOGIN" ] || export PGUSER="$LOGIN"
set -- --no-password --exit-on-error --single-transaction "--dbname=$DATABASE"
[ "$CLEAN" != true ] || set -- "$@" --clean --if-exists
pg_restore "$@" "$FILE" >&2
count="select count(*) from information_schema.tables where table_schema not in ('pg_catalog', 'information_schema')"
printf '{"tables": %s}\n' "$(psql --no-password --no-psqlrc --tuples-only --no-align "--dbname=$DATABASE" --command="$count")"
