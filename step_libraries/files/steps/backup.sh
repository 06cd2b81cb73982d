set -eu
fail() { echo "$*" >&2; exit 1; }
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
half=$archive.part
trap 'rm -rf -- "$work" "$half"' EXIT
umask 077
# a file that changes while it is read costs tar an exit code of 1, and the archive nothing
{ tar -C / -c -f - -X "$work/exclude" -T "$work/paths" || { code=$?; [ "$code" = 1 ] || echo "$code" >"$work/failed"; }; } |
    $pack >"$half"
[ ! -e "$work/failed" ] || fail "tar failed ($(cat "$work/failed"))"
case $COMPRESS in
none) tar -t -f "$half" >/dev/null ;;
*) ${pack%% *} -d -c <"$half" | tar -t -f - >/dev/null ;;
esac || fail "the archive cannot be read back"
sum=$(sha256sum -- "$half" | cut -d ' ' -f 1)
chmod "$MODE" "$half"
mv -- "$half" "$archive"
printf '%s  %s\n' "$sum" "${archive##*/}" >"$archive.sha256"
chmod "$MODE" "$archive.sha256"
printf '{"archive": "%s", "sha256": "%s", "size": %s}\n' "$archive" "$sum" "$(wc -c <"$archive" | tr -d ' ')"
