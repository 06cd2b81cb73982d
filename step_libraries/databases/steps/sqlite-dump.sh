set -eu
fail() { echo "$*" >&2; exit 1; }
command -v sqlite3 >/dev/null || fail "sqlite3 is not installed here"
[ -r "$DATABASE" ] || fail "there is no database $DATABASE that can be read"
half=$FILE.part.$$
trap 'rm -f -- "$half"' EXIT
umask 077
sqlite3 -bail "$DATABASE" ".timeout 60000" ".backup '$half'" >&2
[ "$(sqlite3 "$half" 'pragma integrity_check')" = ok ] || fail "the copy is damaged, and so may the database be"
mv -f -- "$half" "$FILE"
printf '{"file": "%s", "size": %s, "sha256": "%s"}\n' \
    "$FILE" "$(wc -c <"$FILE" | tr -d ' ')" "$(sha256sum <"$FILE" | cut -d ' ' -f 1)"
