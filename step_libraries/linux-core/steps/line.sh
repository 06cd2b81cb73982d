set -eu
fail() { echo "$*" >&2; exit 1; }
[ "$GIVEN" = true ] || [ -n "$MATCH" ] || fail "it needs 'line' or 'match'"
[ "$GIVEN" = true ] || [ "$STATE" = absent ] || fail "it needs 'line'"
if [ ! -e "$AT" ]; then
    if [ "$STATE" = absent ]; then echo '{"changed": false}'; exit; fi
    [ "$CREATE" = true ] || fail "there is no file $AT; 'create: true' makes it"
    (umask 022 && : >"$AT")
fi
[ -f "$AT" ] || fail "$AT is no file"
# a link stays a link: the file that it points to is changed
file=$(readlink -f -- "$AT")
new="$file.opsconductor.$$"
trap 'rm -f -- "$new"' EXIT
cp -p -- "$file" "$new"
[ -z "$MATCH" ] || { grep -E -e "$MATCH" /dev/null || [ $? = 1 ] || fail "'match' is no expression that grep -E takes"; }

numbers=
[ -z "$MATCH" ] || numbers=$(grep -n -E -e "$MATCH" -- "$file" | cut -d: -f1) || true
if [ "$STATE" = absent ]; then
    if [ "$GIVEN" = true ]; then
        numbers="$numbers $(grep -n -F -x -e "$LINE" -- "$file" | cut -d: -f1)" || true
    fi
    NUMBERS=$numbers awk 'BEGIN { n = split(ENVIRON["NUMBERS"], all, /[ \n]+/); for (i = 1; i <= n; i++) out[all[i]] }
        !(NR in out)' "$file" >"$new"
elif [ -n "$numbers" ]; then
    NUMBER=$(printf '%s\n' "$numbers" | tail -n 1) awk 'NR == ENVIRON["NUMBER"] { print ENVIRON["LINE"]; next } 1' "$file" >"$new"
elif ! grep -q -F -x -e "$LINE" -- "$file"; then
    # a file may end without a newline
    if [ -s "$file" ] && [ -n "$(tail -c 1 -- "$file")" ]; then echo >>"$new"; fi
    printf '%s\n' "$LINE" >>"$new"
fi
if cmp -s -- "$file" "$new"; then echo '{"changed": false}'; exit; fi
mv -f -- "$new" "$file"
echo '{"changed": true}'
