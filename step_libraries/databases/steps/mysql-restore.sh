set -eu
fail() { echo "$*" >&2; exit 1; }
if command -v mariadb >/dev/null; then client=mariadb; else client=mysql; fi
command -v "$client" >/dev/null || fail "neither mariadb nor mysql is installed here"
[ -r "$FILE" ] || fail "there is no dump $FILE that can be read"
[ -n "$MYSQL_PWD" ] || unset MYSQL_PWD
set --
case $DB_HOST in
"") ;;
/*) set -- "$@" "--socket=$DB_HOST" ;;
*) set -- "$@" "--host=$DB_HOST" "--port=$DB_PORT" ;;
esac
[ -z "$LOGIN" ] || set -- "$@" "--user=$LOGIN"
[ "$CREATE" != true ] || "$client" "$@" --execute="create database if not exists \`$DATABASE\`" >&2
plain=$(mktemp)
trap 'rm -f -- "$plain"' EXIT
case $FILE in
*.gz) gzip -d -c -- "$FILE" >"$plain" || fail "$FILE cannot be unpacked" ;;
*) cat -- "$FILE" >"$plain" ;;
esac
"$client" "$@" "$DATABASE" <"$plain" >&2
count="select count(*) from information_schema.tables where table_schema = '$DATABASE'"
printf '{"tables": %s}\n' "$("$client" "$@" --batch --skip-column-names --execute="$count")"
