set -eu
fail() { echo "$*" >&2; exit 1; }
[ -f "$AT" ] || fail "there is no file $AT"
sum=$(sha256sum <"$AT" | cut -d ' ' -f 1)
if [ -n "$SUM_FILE" ]; then
    line=$(NAME=${AT##*/} awk '{ name = $0; sub(/^[0-9a-f]+ [ *]/, "", name); sub(/.*\//, "", name) }
        name == ENVIRON["NAME"] { print $1; exit }' "$SUM_FILE")
    [ -n "$line" ] || fail "$SUM_FILE says nothing of ${AT##*/}"
    [ "$line" = "$sum" ] || fail "$AT is $sum, and $SUM_FILE says $line"
fi
[ -z "$WANTED" ] || [ "$WANTED" = "$sum" ] || fail "$AT is $sum, and not $WANTED"
printf '{"sha256": "%s", "size": %s}\n' "$sum" "$(wc -c <"$AT" | tr -d ' ')"
