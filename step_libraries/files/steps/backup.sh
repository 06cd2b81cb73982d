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
case $FOLDER in *[\"\\]*) fail "a folder with quotes or backslashes cannot be used" ;; esac
# a JSON list of texts without quotes, backslashes and line ends
items() { printf '%s\n' "$1" | sed 's/^\[//; s/\]$//; s/^"//; s/"$//; s/","/\
/g'; }
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
items "$PATHS" | sed 's,^/*,,; s,^$,.,' >"$work/paths"
items "$EXCLUDE" >"$work/exclude"
while IFS= read -r path; do
    [ -e "/$path" ] || [ -L "/$path" ] || fail "there is no /$path"
done <"$work/paths"
case $COMPRESS in
gzip) suffix=.gz pack='gzip -c' ;;
zstd) suffix=.zst pack='zstd -q -c' ;;
xz) suffix=.xz pack='xz -c' ;;
none) suffix= pack=cat ;;
esac
command -v "${pack%% *}" >/dev/null || fail "${pack%% *} is not installed here"
mkdir -p -- "$FOLDER"
archive=$FOLDER/$NAME-$(date -u +%Y%m%dT%H%M%SZ).tar$suffix
umask 077
enter "$archive"
beside
trap 'away; rm -rf -- "$work"' EXIT
# a file that changes while it is read costs tar an exit code of 1, and the archive nothing
{ tar -C / -c -f - -X "$work/exclude" -T "$work/paths" || { code=$?; [ "$code" = 1 ] || echo "$code" >"$work/failed"; }; } |
    $pack >./new
[ ! -e "$work/failed" ] || fail "tar failed ($(cat "$work/failed"))"
case $COMPRESS in
none) tar -t -f ./new >/dev/null ;;
*) ${pack%% *} -d -c <./new | tar -t -f - >/dev/null ;;
esac || fail "the archive cannot be read back"
sum=$(sha256sum ./new | cut -d ' ' -f 1)
size=$(wc -c <./new | tr -d ' ')
chmod "$MODE" ./new
put
printf '%s  %s\n' "$sum" "$name" >./new
name=$name.sha256
chmod "$MODE" ./new
put
printf '{"archive": "%s", "sha256": "%s", "size": %s}\n' "$archive" "$sum" "$size"
