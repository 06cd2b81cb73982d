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

if [ -n "$KEYS" ]; then
    home=$(field 6)
    [ -d "$home" ] || fail "$NAME has no home folder $home for keys"
    folder=$home/.ssh
    # the folder is its owner's: a link there must not lead root elsewhere
    [ ! -L "$folder" ] && [ ! -L "$folder/authorized_keys" ] || fail "$folder is a link, or has one for authorized_keys"
    new=$(mktemp)
    trap 'rm -f -- "$new"' EXIT
    # a JSON list of texts without line ends: the items stand between quotes
    printf %s "$KEYS" | sed 's/^\["//; s/"\]$//; s/", *"/\n/g' | sed 's/\\"/"/g; s/\\\\/\\/g' >"$new"
    [ "$KEYS" != "[]" ] || : >"$new"
    [ ! -s "$new" ] || [ -z "$(tail -c 1 "$new")" ] || echo >>"$new"
    if [ ! -f "$folder/authorized_keys" ] || ! cmp -s -- "$new" "$folder/authorized_keys"; then
        group=$(id -g -- "$NAME")
        [ -d "$folder" ] || install -d -m 0700 -o "$NAME" -g "$group" -- "$folder"
        install -m 0600 -o "$NAME" -g "$group" -- "$new" "$folder/.authorized_keys.$$"
        mv -f -- "$folder/.authorized_keys.$$" "$folder/authorized_keys"
        changed=true
    fi
fi
printf '{"changed": %s}\n' "$changed"
