set -eu
fail() { echo "$*" >&2; exit 1; }
if command -v mariadb-dump >/dev/null; then dump=mariadb-dump; else dump=mysqldump; fi
command -v "$dump" >/dev/null || fail "neither mariadb-dump nor mysqldump is installed here"
[ -n "$MYSQL_PWD" ] || unset MYSQL_PWD
set --
case $DB_HOST in
"") ;;
/*) set -- "$@" "--socket=$DB_HOST" ;;
*) set -- "$@" "--host=$DB_HOST" "--port=$DB_PORT" ;;
esac
[ -z "$LOGIN" ] || set -- "$@" "--user=$LOGIN"
half=$FILE.part.$$
trap 'rm -f -- "$half" "$half.sql"' EXIT
umask 077
"$dump" "$@" --single-transaction --routines --triggers --events "--result-file=$half.sql" "$DATABASE"
# its last line says that it is whole
tail -n 1 "$half.sql" | grep -q '^-- Dump completed' || fail "the dump is not whole"
gzip -c "$half.sql" >"$half"
mv -f -- "$half" "$FILE"
printf '{"file": "%s", "size": %s, "sha256": "%s"}\n' \
    "$FILE" "$(wc -c <"$FILE" | tr -d ' ')" "$(sha256sum <"$FILE" | cut -d ' ' -f 1)"
