# Where systemd is installed and does not run, as in an image that is being made, the files are written and enabled.
set -eu
fail() { echo "$*" >&2; exit 1; }
command -v systemctl >/dev/null || fail "this host has no systemd"
folder=/etc/systemd/system changed=false
runs() { [ -d /run/systemd/system ]; }
active() { if runs && systemctl is-active --quiet "$NAME.timer"; then echo true; else echo false; fi; }

if [ "$STATE" = absent ]; then
    if [ -e "$folder/$NAME.timer" ]; then
        if runs; then systemctl stop "$NAME.timer" >&2; fi
        systemctl disable "$NAME.timer" >&2
        rm -f -- "$folder/$NAME.timer" "$folder/$NAME.service"
        if runs; then systemctl daemon-reload >&2; fi
        changed=true
    fi
    printf '{"changed": %s, "active": false}\n' "$changed"
    exit
fi
[ -n "$RUN" ] && [ -n "$WHEN" ] || fail "a timer needs 'command' and 'calendar'"
systemd-analyze calendar -- "$WHEN" >/dev/null || fail "'$WHEN' is no time that systemd knows"
id -- "$RUN_AS" >/dev/null 2>&1 || fail "there is no user '$RUN_AS'"

new=
trap '[ -z "$new" ] || rm -f -- "$new"' EXIT
put() {
    new=$(mktemp "$folder/.opsconductor.XXXXXXXXXX")
    cat >"$new"
    chmod 0644 "$new"
    if [ ! -e "$folder/$1" ] || ! cmp -s -- "$new" "$folder/$1"; then
        mv -f -- "$new" "$folder/$1"
        changed=true
    fi
    rm -f -- "$new"
}
mkdir -p "$folder"
put "$NAME.service" <<END
# written by OpsConductor (linux-core/timer)
[Unit]
Description=$NAME

[Service]
Type=oneshot
User=$RUN_AS
ExecStart=$RUN
END
put "$NAME.timer" <<END
# written by OpsConductor (linux-core/timer)
[Unit]
Description=$NAME

[Timer]
OnCalendar=$WHEN
Persistent=$PERSISTENT

[Install]
WantedBy=timers.target
END
if ! systemctl is-enabled --quiet "$NAME.timer" 2>/dev/null; then systemctl enable "$NAME.timer" >&2; changed=true; fi
if runs; then
    [ "$changed" = false ] || { systemctl daemon-reload && systemctl restart "$NAME.timer"; } >&2
    [ "$(active)" = true ] || { systemctl start "$NAME.timer" >&2; changed=true; }
fi
printf '{"changed": %s, "active": %s}\n' "$changed" "$(active)"
