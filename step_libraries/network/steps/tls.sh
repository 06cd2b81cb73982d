# Whether anybody vouches for the certificate is not asked here: an own authority's is looked at as well.
set -eu
fail() { echo "$*" >&2; exit 1; }
command -v openssl >/dev/null || fail "openssl is not installed here"
case $HOST in
-*) fail "'$HOST' is no host" ;;
*:*) address="[$HOST]:$PORT" ;;
*) address="$HOST:$PORT" ;;
esac
set -- s_client -connect "$address" -servername "${SERVER_NAME:-$HOST}"
[ "$STARTTLS" = none ] || set -- "$@" -starttls "$STARTTLS"
if command -v timeout >/dev/null; then set -- timeout 30 openssl "$@"; else set -- openssl "$@"; fi
certificate=$("$@" </dev/null 2>/dev/null | openssl x509 2>/dev/null) || fail "$address shows no certificate"
until=$(printf '%s\n' "$certificate" | openssl x509 -noout -enddate | cut -d = -f 2)
# how many days are left is asked of openssl itself: not every date reads a date; the highest one that holds
left=0 step=65536
while [ "$step" -ge 1 ]; do
    if printf '%s\n' "$certificate" | openssl x509 -noout -checkend "$(((left + step) * 86400))" >/dev/null; then left=$((left + step)); fi
    step=$((step / 2))
done
printf '%s\n' "$certificate" | openssl x509 -noout -checkend 0 >/dev/null || fail "the certificate of $address ended on $until"
[ "$left" -ge "$MIN_DAYS" ] || fail "the certificate of $address ends in $left days, on $until"
printf '{"daysLeft": %s, "notAfter": "%s"}\n' "$left" "$until"
