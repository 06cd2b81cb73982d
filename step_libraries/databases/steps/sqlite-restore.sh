set -eu
fail() { echo "$*" >&2; exit 1; }
command -v sqlite3 >/dev/null || fail "sqlite3 is not installed here"
[ -r "$FILE" ] || fail "there is no copy $FILE that can be read"
[ "$(sqlite3 -readonly "$FILE" 'pragma integrity_check')" = ok ] || fail "$FILE is damaged, or no SQLite database"
sqlite3 -bail "$DATABASE" ".timeout 60000" ".restore '$FILE'" >&2
count="select count(*) from sqlite_master where type = 'table' and name not like 'sqlite_%'"
printf '{"tables": %s}\n' "$(sqlite3 -readonly "$DATABASE" "$count")"
