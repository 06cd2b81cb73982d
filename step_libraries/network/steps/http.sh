set -eu
fail() { echo "$*" >&2; exit 1; }
command -v curl >/dev/null || fail "curl is not installed here"
body=$(mktemp)
trap 'rm -f -- "$body"' EXIT
set -- --silent --show-error --proto =http,https --max-time "$SECONDS_AT_MOST" --max-filesize 67108864 --output "$body"
[ "$INSECURE" != true ] || set -- "$@" --insecure
told=$(curl "$@" --write-out '%{http_code} %{time_total}' --url "$URL") || fail "$URL gave no answer"
status=${told%% *}
taken=$(printf '%s\n' "${told#* }" | tr ',' '.' | awk '{ printf "%d", $1 * 1000 }')
[ "$status" = "$STATUS" ] || fail "$URL answered $status, not $STATUS"
[ -z "$CONTAINS" ] || grep -q -F -e "$CONTAINS" -- "$body" || fail "the answer of $URL does not hold '$CONTAINS'"
printf '{"status": %s, "milliseconds": %s, "size": %s}\n' "$status" "$taken" "$(wc -c <"$body" | tr -d ' ')"
