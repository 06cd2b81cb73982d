set -eu
fail() { echo "$*" >&2; exit 1; }
PATH=$PATH:/usr/sbin:/sbin
command -v sysctl >/dev/null || fail "sysctl is not installed here"
changed=false
# tabs and blanks between several values are all the same to the kernel
plain() { printf %s "$1" | tr -s '\t ' '  '; }
now=$(sysctl -n -- "$KEY") || fail "the kernel has no setting '$KEY'"
if [ "$(plain "$now")" != "$(plain "$VALUE")" ]; then
    sysctl -w -- "$KEY=$VALUE" >&2
    [ "$(plain "$(sysctl -n -- "$KEY")")" = "$(plain "$VALUE")" ] || fail "the kernel did not take '$VALUE' for $KEY"
    changed=true
fi
if [ "$PERSIST" = true ]; then
    file=/etc/sysctl.d/90-opsconductor-$(printf %s "$KEY" | tr '/*' '__').conf
    line="$KEY = $VALUE"
    if [ "$(cat -- "$file" 2>/dev/null)" != "$line" ]; then
        mkdir -p /etc/sysctl.d
        new=$(mktemp /etc/sysctl.d/.opsconductor.XXXXXXXXXX)
        trap 'rm -f -- "$new"' EXIT
        printf '%s\n' "$line" >"$new"
        chmod 0644 "$new"
        mv -f -- "$new" "$file"
        changed=true
    fi
fi
printf '{"changed": %s}\n' "$changed"
