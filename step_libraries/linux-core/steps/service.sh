# By systemctl where systemd runs, else by OpenRC, else by the scripts of /etc/init.d.
set -eu
fail() { echo "$*" >&2; exit 1; }
changed=false

if [ -d /run/systemd/system ] && command -v systemctl >/dev/null; then
    how=systemd
    # `cat` knows a unit also where it is no file of its own, as an instance of a template
    systemctl cat -- "$NAME" >/dev/null 2>&1 || fail "there is no service '$NAME'"
elif command -v rc-service >/dev/null; then
    how=openrc
    rc-service --exists "$NAME" || fail "there is no service '$NAME'"
elif [ -x "/etc/init.d/$NAME" ]; then
    how=sysv
elif command -v systemctl >/dev/null; then
    fail "systemd does not run here, and there is no /etc/init.d/$NAME"
else
    fail "no systemd, no OpenRC, and no /etc/init.d/$NAME"
fi

runs() {
    case $how in
    systemd) systemctl is-active --quiet -- "$NAME" ;;
    openrc) rc-service --quiet "$NAME" status >/dev/null 2>&1 ;;
    sysv) "/etc/init.d/$NAME" status >/dev/null 2>&1 ;;
    esac
}

act() {
    case $how in
    systemd) systemctl "$1" -- "$NAME" ;;
    openrc) rc-service "$NAME" "$1" ;;
    sysv) "/etc/init.d/$NAME" "$1" ;;
    esac >&2
    changed=true
}

is_enabled() {
    case $how in
    systemd) systemctl is-enabled --quiet -- "$NAME" 2>/dev/null ;;
    openrc) rc-update show default | grep -q "^ *$NAME " ;;
    sysv) ls /etc/rc[2345].d/S??"$NAME" >/dev/null 2>&1 ;;
    esac
}

enable() {
    case $how.$1 in
    systemd.true) systemctl enable -- "$NAME" ;;
    systemd.false) systemctl disable -- "$NAME" ;;
    openrc.true) rc-update add "$NAME" default ;;
    openrc.false) rc-update del "$NAME" default ;;
    sysv.true) update-rc.d "$NAME" defaults && update-rc.d "$NAME" enable ;;
    sysv.false) update-rc.d "$NAME" disable ;;
    esac >&2
    changed=true
}

case $ENABLED in
true) is_enabled || enable true ;;
false) if is_enabled; then enable false; fi ;;
esac
case $STATE in
started) runs || act start ;;
stopped) if runs; then act stop; fi ;;
restarted) act restart ;;
reloaded) act reload ;;
esac
# a script of /etc/init.d may come back before its program has said that it is there, or is gone
settled() {
    case $STATE in
    started | restarted) runs ;;
    stopped) ! runs ;;
    esac
}
tries=0
until settled || [ "$tries" = 10 ]; do
    tries=$((tries + 1))
    sleep 1
done
if runs; then running=true; else running=false; fi
case $STATE.$running in
started.false | restarted.false) fail "'$NAME' was started, and does not run" ;;
stopped.true) fail "'$NAME' was stopped, and still runs" ;;
esac
printf '{"changed": %s, "running": %s}\n' "$changed" "$running"
