# A new content is put beside the file and renamed over it: nobody ever reads half of it.
set -eu
fail() { echo "$*" >&2; exit 1; }
changed=false

without_zeros() { printf %s "$1" | sed 's/^0*//'; }

absent() {
    if [ -L "$AT" ] || [ -e "$AT" ]; then
        if [ -d "$AT" ] && [ ! -L "$AT" ]; then rmdir -- "$AT"; else rm -f -- "$AT"; fi
        changed=true
    fi
}

link() {
    [ -n "$TARGET" ] || fail "a link needs 'target'"
    [ -L "$AT" ] || [ ! -e "$AT" ] || fail "$AT is there, and is no link"
    [ -L "$AT" ] && [ "$(readlink -- "$AT")" = "$TARGET" ] && return
    new="$AT.opsconductor.$$"
    ln -s -- "$TARGET" "$new"
    mv -f -T -- "$new" "$AT" 2>/dev/null || { rm -f -- "$AT" && mv -f -- "$new" "$AT"; }
    changed=true
}

directory() {
    [ -d "$AT" ] && return
    [ ! -e "$AT" ] || fail "$AT is there, and is no folder"
    mkdir -p -- "$AT"
    changed=true
}

present() {
    [ ! -d "$AT" ] || fail "$AT is a folder"
    if [ -z "$CONTENT" ]; then
        [ -e "$AT" ] || { : >"$AT"; changed=true; }
        return
    fi
    new="$AT.opsconductor.$$"
    trap 'rm -f -- "$new"' EXIT
    # what is there keeps its mode and owner; the new file is nobody else's until it has them
    (umask 077 && printf %s "${CONTENT%.}" >"$new")
    if [ -e "$AT" ] && cmp -s -- "$new" "$AT"; then return; fi
    if [ -e "$AT" ]; then
        chmod --reference="$AT" -- "$new" 2>/dev/null || chmod "$(stat -c %a -- "$AT")" "$new"
        chown "$(stat -c %u:%g -- "$AT")" "$new"
    else
        chmod "${MODE:-0644}" "$new"
    fi
    mv -f -- "$new" "$AT"
    changed=true
}

case $STATE in
absent) absent ;;
link) link ;;
directory) directory ;;
present) present ;;
esac

if [ "$STATE" = present ] || [ "$STATE" = directory ]; then
    if [ -n "$MODE" ] && [ "$(without_zeros "$(stat -c %a -- "$AT")")" != "$(without_zeros "$MODE")" ]; then
        chmod "$MODE" "$AT"
        changed=true
    fi
fi
if [ "$STATE" != absent ] && [ -n "$OWNER" ]; then
    id -- "$OWNER" >/dev/null 2>&1 || fail "there is no user '$OWNER'"
    if [ "$(stat -c %U -- "$AT")" != "$OWNER" ]; then chown -h -- "$OWNER" "$AT"; changed=true; fi
fi
if [ "$STATE" != absent ] && [ -n "$GROUP" ]; then
    if [ "$(stat -c %G -- "$AT")" != "$GROUP" ]; then chgrp -h -- "$GROUP" "$AT"; changed=true; fi
fi
printf '{"changed": %s}\n' "$changed"
