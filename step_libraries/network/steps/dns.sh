set -eu
fail() { echo "$*" >&2; exit 1; }
case $NAME in -*) fail "'$NAME' is no name" ;; esac
case $FAMILY in
any) table=ahosts ;;
ipv4) table=ahostsv4 ;;
ipv6) table=ahostsv6 ;;
esac
found=$(getent "$table" "$NAME" | awk '{ print $1 }' | sort -u) || true
[ -n "$found" ] || fail "$NAME has no address here"
if [ -n "$EXPECT" ]; then printf '%s\n' "$found" | grep -q -x -F -e "$EXPECT" || fail "$NAME is $(echo $found), not $EXPECT"; fi
printf '%s\n' "$found" | awk 'BEGIN { printf "{\"addresses\": [" } { printf "%s\"%s\"", (NR > 1 ? ", " : ""), $1 } END { print "]}" }'
