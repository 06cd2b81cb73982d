set -eu
fail() { echo "$*" >&2; exit 1; }
# --- beside a file: the same text in every script that replaces one ---
# The folder may be somebody else's, who puts links at names that he guesses or swaps what he sees. So the new file is
# made in a folder of our own in there that nobody else enters, and we stand in it: no name leads there. From it the
# file, `./new`, is renamed over the old one, which replaces a link and never follows one.
enter() {
    name=${1##*/}
    case $name in "" | . | ..) fail "$1 is no name of a file" ;; esac
    cd -P -- "${1%/*}/" || fail "there is no folder ${1%/*}/"
}
away() { { rm -f -- ./* ./.[!.]* ./..?* && rmdir -- "../${made##*/}"; } 2>/dev/null || true; }
beside() {
    folder=$(stat -c %d:%i .)
    made=$(umask 077 && mktemp -d ./.opsconductor.XXXXXXXXXX) || fail "nothing can be written beside $name"
    cd -P -- "$made"
    case $(stat -c %u:%a .) in "$(id -u)":*700) ;; *) fail "somebody else changes the folder of $name right now" ;; esac
    [ "$(stat -c %d:%i ..)" = "$folder" ] && [ -z "$(ls -A .)" ] || fail "somebody else changes the folder of $name right now"
    trap away EXIT
    trap 'exit 1' HUP INT TERM
}
put() {
    [ -L ./new ] || sync ./new 2>/dev/null || sync
    [ "$name" = new ] || mv -f -- ./new "./$name"
    # into the folder, not onto the name: that could be a link to another folder by now
    mv -f -- "./$name" ..
}
# --- end of it ---
# the file that is there, as descriptor 3: what is done to it is done to that one, whatever the name means by then
hold() {
    [ ! -L "./$name" ] && [ -f "./$name" ] || fail "$name is no file"
    exec 3<"./$name"
    [ "$(stat -c %d:%i "./$name")" = "$(stat -L -c %d:%i /proc/self/fd/3)" ] || fail "somebody else changes $name right now"
}

changed=false

without_zeros() { printf %s "$1" | sed 's/^0*//'; }
# a number is compared with numbers
owner_form() { case $1 in *[!0-9]*) echo "%$2" ;; *) echo "%$3" ;; esac; }

# owner, group and mode of what `$1` says; stat and the others follow it, so it is a descriptor or `.`
attributes() {
    if [ -n "$OWNER" ] && [ "$(without_zeros "$(stat -L -c "$(owner_form "$OWNER" U u)" "$1")")" != "$(without_zeros "$OWNER")" ]; then
        chown -- "$OWNER" "$1"
        changed=true
    fi
    if [ -n "$GROUP" ] && [ "$(without_zeros "$(stat -L -c "$(owner_form "$GROUP" G g)" "$1")")" != "$(without_zeros "$GROUP")" ]; then
        chgrp -- "$GROUP" "$1"
        changed=true
    fi
    # after the owner: a new owner takes setuid and setgid away
    if [ -n "$MODE" ] && [ "$(without_zeros "$(stat -L -c %a "$1")")" != "$(without_zeros "$MODE")" ]; then
        chmod "$MODE" "$1"
        changed=true
    fi
}

absent() {
    if [ -L "$AT" ] || [ -e "$AT" ]; then
        if [ -d "$AT" ] && [ ! -L "$AT" ]; then rmdir -- "$AT"; else rm -f -- "$AT"; fi
        changed=true
    fi
}

link() {
    [ -n "$TARGET" ] || fail "a link needs 'target'"
    [ -L "$AT" ] || [ ! -e "$AT" ] || fail "$AT is there, and is no link"
    if [ ! -L "$AT" ] || [ "$(readlink -- "$AT")" != "$TARGET" ]; then
        enter "$AT"
        beside
        ln -s -- "$TARGET" ./new
        put
        changed=true
    fi
    if [ -n "$OWNER" ] && [ "$(stat -c "$(owner_form "$OWNER" U u)" -- "$AT")" != "$OWNER" ]; then
        chown -h -- "$OWNER" "$AT"
        changed=true
    fi
    if [ -n "$GROUP" ] && [ "$(stat -c "$(owner_form "$GROUP" G g)" -- "$AT")" != "$GROUP" ]; then
        chgrp -h -- "$GROUP" "$AT"
        changed=true
    fi
}

directory() {
    if [ ! -d "$AT" ]; then
        [ ! -e "$AT" ] || fail "$AT is there, and is no folder"
        mkdir -p -- "$AT"
        changed=true
    fi
    [ -n "$MODE$OWNER$GROUP" ] || return 0
    # we stand in it, so that it stays the one that was looked at
    cd -P -- "$AT"
    if [ -L "$AT" ]; then
        case $(stat -c %u -- "$AT") in
        0 | "$(id -u)" | "$(stat -c %u .)") ;;
        *) fail "$AT is a link of somebody else's to what is not theirs; name the folder itself" ;;
        esac
    else
        [ "$(stat -c %d:%i -- "$AT")" = "$(stat -c %d:%i .)" ] || fail "somebody else changes $AT right now"
    fi
    attributes .
}

present() {
    [ ! -d "$AT" ] || [ -L "$AT" ] || fail "$AT is a folder"
    if [ -z "$CONTENT" ] && [ -L "$AT" ]; then
        [ -e "$AT" ] || fail "$AT is a link to nothing"
        [ -z "$MODE$OWNER$GROUP" ] || fail "$AT is a link; name the file that it leads to"
        return
    fi
    enter "$AT"
    there=false
    if [ ! -L "./$name" ] && [ -e "./$name" ]; then there=true; fi
    if [ "$there" = true ] && [ -z "$CONTENT" ] && [ ! -f "./$name" ]; then
        # a device or its like is not opened, so it is known by its name alone
        case $(stat -c %u:%a .) in
        "0:"*[0145][0145] | "$(id -u):"*[0145][0145]) attributes "./$name" ;;
        *) fail "$AT is no file, and in a folder that others write to" ;;
        esac
        return
    fi
    if [ "$there" = true ]; then
        hold
        if [ -z "$CONTENT" ] || printf %s "${CONTENT%.}" | cmp -s - /proc/self/fd/3; then
            attributes /proc/self/fd/3
            return
        fi
    fi
    beside
    if [ "$there" = true ]; then
        # what is there keeps its mode and owner
        cp -p -- /proc/self/fd/3 ./new
        [ "$(stat -c %u:%g ./new)" = "$(stat -L -c %u:%g /proc/self/fd/3)" ] || chown "$(stat -L -c %u:%g /proc/self/fd/3)" ./new
    fi
    printf %s "${CONTENT%.}" >./new
    [ "$there" = true ] || chmod 0644 ./new
    attributes ./new
    put
    changed=true
}

if [ "$STATE" != absent ] && [ -n "$OWNER" ]; then
    case $OWNER in *[!0-9]*) id -- "$OWNER" >/dev/null 2>&1 || fail "there is no user '$OWNER'" ;; esac
fi
case $STATE in
absent) absent ;;
link) link ;;
directory) directory ;;
present) present ;;
esac
printf '{"changed": %s}\n' "$changed"
