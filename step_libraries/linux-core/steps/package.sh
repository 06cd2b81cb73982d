# Whether anything changed is read from the versions before and after: what managers print differs by release.
set -eu
fail() { echo "$*" >&2; exit 1; }
# the names hold none of these characters
set -f
set -- $(printf %s "$NAMES" | tr -d '[]"' | tr ',' ' ')

if command -v apt-get >/dev/null; then
    manager=apt
elif command -v dnf >/dev/null; then
    manager=dnf
elif command -v apk >/dev/null; then
    manager=apk
else
    fail "neither apt-get nor dnf nor apk is here"
fi

versions() {
    for name in "$@"; do
        case $manager in
        apt) dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' "$name" 2>/dev/null | grep '^installed ' || true ;;
        dnf) rpm -q "$name" 2>/dev/null || true ;;
        apk) apk info -e -v "$name" 2>/dev/null || true ;;
        esac
    done
}

lacks() {
    for name in "$@"; do
        [ -n "$(versions "$name")" ] || return 0
    done
    return 1
}

apt() {
    DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
        -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@" >&2
}

before=$(versions "$@")
if [ "$REFRESH" = true ]; then
    case $manager in
    apt) apt update ;;
    dnf) dnf -y makecache >&2 ;;
    apk) apk update >&2 ;;
    esac
fi
case $STATE.$manager in
present.apt) if lacks "$@"; then apt install "$@"; fi ;;
present.dnf) if lacks "$@"; then dnf -y install "$@" >&2; fi ;;
present.apk) if lacks "$@"; then apk add "$@" >&2; fi ;;
latest.apt) apt install "$@" ;;
latest.dnf) dnf -y install "$@" >&2; dnf -y upgrade "$@" >&2 ;;
latest.apk) apk add --upgrade "$@" >&2 ;;
absent.*)
    if [ -n "$before" ]; then
        case $manager in
        apt) apt remove "$@" ;;
        dnf) dnf -y remove "$@" >&2 ;;
        apk) apk del "$@" >&2 ;;
        esac
    fi
    ;;
esac
after=$(versions "$@")
case $STATE in
absent) [ -z "$after" ] || fail "still installed: $after" ;;
*) if lacks "$@"; then fail "not all of them are installed"; fi ;;
esac
if [ "$before" = "$after" ]; then changed=false; else changed=true; fi
printf '{"changed": %s, "manager": "%s"}\n' "$changed" "$manager"
