set -eu
fail() { echo "$*" >&2; exit 1; }
# --- beside a file: the same text in every script that replaces one ---
# The folder may be somebody else's, who puts links at names that he guesses or swaps what he sees. So the new file is
# made in a folder of our own in there that nobody else enters, and we stand in it: no name leads there. From it the
# file, `./new`, is renamed over the old one, which replaces a link and never follows one.
enter() {
    name=${1##*/}
    case $name in "" | . | ..) fail "$1 is no name of a file" ;; esac
    cd -P -- "${1%/*}/" || fail "there is no folder ${1%/*}/"
}
away() { { rm -f -- ./* ./.[!.]* ./..?* && rmdir -- "../${made##*/}"; } 2>/dev/null || true; }
beside() {
    folder=$(stat -c %d:%i .)
    made=$(umask 077 && mktemp -d ./.opsconductor.XXXXXXXXXX) || fail "nothing can be written beside $name"
    cd -P -- "$made"
    case $(stat -c %u:%a .) in "$(id -u)":*700) ;; *) fail "somebody else changes the folder of $name right now" ;; esac
    [ "$(stat -c %d:%i ..)" = "$folder" ] && [ -z "$(ls -A .)" ] || fail "somebody else changes the folder of $name right now"
    trap away EXIT
    trap 'exit 1' HUP INT TERM
}
put() {
    [ -L ./new ] || sync ./new 2>/dev/null || sync
    [ "$name" = new ] || mv -f -- ./new "./$name"
    # into the folder, not onto the name: that could be a link to another folder by now
    mv -f -- "./$name" ..
}
# --- end of it ---
command -v pg_dump >/dev/null || fail "pg_dump is not installed here"
# no value is no setting: an empty PGHOST is not the same to libpq as none
[ -n "$PGHOST" ] || unset PGHOST
[ -n "$PGPASSWORD" ] || unset PGPASSWORD
[ -z "$LOGIN" ] || export PGUSER="$LOGIN"
umask 077
enter "$FILE"
beside
pg_dump --no-password --format=custom "--file=./new" "--dbname=$DATABASE"
pg_restore --list ./new >/dev/null || fail "the dump cannot be read back"
chmod 0600 ./new
size=$(wc -c <./new | tr -d ' ') sum=$(sha256sum ./new | cut -d ' ' -f 1)
put
printf '{"file": "%s", "size": %s, "sha256": "%s"}\n' "$FILE" "$size" "$sum"
