set -eu
fail() { echo "$*" >&2; exit 1; }
PATH=$PATH:/usr/sbin:/sbin
command -v useradd >/dev/null || fail "useradd is not here (on Alpine it is in the package shadow)"
changed=false
field() { getent passwd "$NAME" | cut -d : -f "$1"; }

if [ "$STATE" = absent ]; then
    if getent passwd "$NAME" >/dev/null; then userdel -- "$NAME" >&2; changed=true; fi
    printf '{"changed": %s}\n' "$changed"
    exit
fi

if ! getent passwd "$NAME" >/dev/null; then
    if [ "$SYSTEM" = true ]; then
        set -- --system
    else
        set -- --create-home
    fi
    [ -z "$HOME_FOLDER" ] || set -- "$@" --home-dir "$HOME_FOLDER"
    [ -z "$LOGIN_SHELL" ] || set -- "$@" --shell "$LOGIN_SHELL"
    [ -z "$COMMENT" ] || set -- "$@" --comment "$COMMENT"
    useradd "$@" -- "$NAME" >&2
    changed=true
fi
set --
if [ -n "$LOGIN_SHELL" ] && [ "$(field 7)" != "$LOGIN_SHELL" ]; then set -- "$@" --shell "$LOGIN_SHELL"; fi
if [ -n "$HOME_FOLDER" ] && [ "$(field 6)" != "$HOME_FOLDER" ]; then set -- "$@" --home "$HOME_FOLDER" --move-home; fi
if [ -n "$COMMENT" ] && [ "$(field 5)" != "$COMMENT" ]; then set -- "$@" --comment "$COMMENT"; fi
if [ $# -gt 0 ]; then usermod "$@" -- "$NAME" >&2; changed=true; fi

set -f
for group in $(printf %s "$GROUPS_OF_IT" | tr -d '[]"' | tr ',' ' '); do
    getent group "$group" >/dev/null || fail "there is no group '$group'"
    case " $(id -nG -- "$NAME") " in
    *" $group "*) ;;
    *) usermod --append --groups "$group" -- "$NAME" >&2; changed=true ;;
    esac
done

# The home folder is its owner's, who may swap what is in it for links while we look. So what is done in there is done
# as that user, who thereby gets nowhere that is not open to them anyway.
write_keys='
    umask 077
    cd -- "$KEYS_HOME" || exit 1
    if [ -L .ssh ] || [ -L .ssh/authorized_keys ]; then
        echo "$KEYS_HOME/.ssh is a link, or has one for authorized_keys" >&2
        exit 1
    fi
    [ -d .ssh ] || mkdir -m 0700 .ssh || exit 1
    whole() { [ -z "$KEY_LINES" ] || printf "%s\n" "$KEY_LINES"; }
    if [ -f .ssh/authorized_keys ] && whole | cmp -s - .ssh/authorized_keys; then echo same; exit; fi
    new=$(mktemp .ssh/.authorized_keys.XXXXXXXXXX) || exit 1
    trap "rm -f -- $new" EXIT
    whole >"$new" && mv -f -- "$new" .ssh/authorized_keys && echo changed
'
as_user() {
    if [ "$(id -u)" = "$(id -u -- "$NAME")" ]; then
        sh -c "$1"
    elif setpriv --reuid=0 --regid=0 --clear-groups true 2>/dev/null; then
        setpriv "--reuid=$(id -u -- "$NAME")" "--regid=$(id -g -- "$NAME")" --clear-groups -- sh -c "$1"
    else
        # busybox's setpriv knows no users
        su -s /bin/sh -c "$1" "$NAME"
    fi
}
# whether only root changes what is in a folder
of_root() { case $(stat -c %u:%a -- "$1") in 0:*[0145][0145]) ;; *) return 1 ;; esac; }

if [ -n "$KEYS" ]; then
    KEYS_HOME=$(field 6)
    [ -d "$KEYS_HOME" ] || fail "$NAME has no home folder $KEYS_HOME for keys"
    # a JSON list of texts without line ends: the items stand between quotes
    KEY_LINES=$(printf %s "$KEYS" | sed 's/^\["//; s/"\]$//; s/", *"/\n/g' | sed 's/\\"/"/g; s/\\\\/\\/g')
    [ "$KEYS" != "[]" ] || KEY_LINES=
    export KEYS_HOME KEY_LINES
    folder=$KEYS_HOME/.ssh owner=$NAME:$(id -g -- "$NAME")
    # a user whose home is root's makes no folder there
    if of_root "$KEYS_HOME" && [ ! -e "$folder" ] && [ ! -L "$folder" ]; then
        (umask 077 && mkdir -- "$folder")
        chown -- "$owner" "$folder"
        changed=true
    fi
    if of_root "$KEYS_HOME" && [ ! -L "$folder" ] && of_root "$folder"; then
        answer=$(sh -c "$write_keys" </dev/null)
        chown -h -- "$owner" "$folder/authorized_keys"
    else
        answer=$(as_user "$write_keys" </dev/null)
    fi
    case $answer in
    *changed) changed=true ;;
    *same) ;;
    *) fail "the keys of $NAME were not written: $answer" ;;
    esac
fi
printf '{"changed": %s}\n' "$changed"
