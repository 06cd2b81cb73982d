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

[ "$GIVEN" = true ] || [ -n "$MATCH" ] || fail "it needs 'line' or 'match'"
[ "$GIVEN" = true ] || [ "$STATE" = absent ] || fail "it needs 'line'"
[ -z "$MATCH" ] || { grep -E -e "$MATCH" /dev/null || [ $? = 1 ] || fail "'match' is no expression that grep -E takes"; }

# A link stays a link: the file that it points to is changed. A link of somebody else leads to files of his own only.
at=$AT others='' links=0
while [ -L "$at" ]; do
    links=$((links + 1))
    [ "$links" -le 40 ] || fail "$AT is a link that leads nowhere"
    owner=$(stat -c %u -- "$at")
    case $owner in 0 | "$(id -u)") ;; *) others="$others $owner" ;; esac
    to=$(readlink -- "$at")
    case $to in /*) at=$to ;; *) at=${at%/*}/$to ;; esac
done
if [ ! -e "$at" ]; then
    if [ "$STATE" = absent ]; then echo '{"changed": false}'; exit; fi
    [ "$CREATE" = true ] || fail "there is no file $AT; 'create: true' makes it"
    new=true
else
    [ -f "$at" ] || fail "$AT is no file"
    new=false
fi
enter "$at"
if [ "$new" = true ]; then
    belongs=$(stat -c %u .)
else
    hold
    belongs=$(stat -L -c %u /proc/self/fd/3)
fi
for owner in $others; do
    [ "$owner" = "$belongs" ] || fail "$AT is a link of user $owner to what is not theirs; name the file itself"
done
beside
if [ "$new" = true ]; then
    : >./old
    (umask 022 && : >./new)
else
    cp -p -- /proc/self/fd/3 ./new
    cat ./new >./old
fi

numbers=
[ -z "$MATCH" ] || numbers=$(grep -n -E -e "$MATCH" -- ./old | cut -d: -f1) || true
if [ "$STATE" = absent ]; then
    if [ "$GIVEN" = true ]; then
        numbers="$numbers $(grep -n -F -x -e "$LINE" -- ./old | cut -d: -f1)" || true
    fi
    NUMBERS=$numbers awk 'BEGIN { n = split(ENVIRON["NUMBERS"], all, /[ \n]+/); for (i = 1; i <= n; i++) out[all[i]] }
        !(NR in out)' ./old >./new
elif [ -n "$numbers" ]; then
    NUMBER=$(printf '%s\n' "$numbers" | tail -n 1) awk 'NR == ENVIRON["NUMBER"] { print ENVIRON["LINE"]; next } 1' ./old >./new
elif ! grep -q -F -x -e "$LINE" -- ./old; then
    # a file may end without a newline
    if [ -s ./old ] && [ -n "$(tail -c 1 -- ./old)" ]; then echo >>./new; fi
    printf '%s\n' "$LINE" >>./new
fi
if [ "$new" = false ] && cmp -s -- ./old ./new; then echo '{"changed": false}'; exit; fi
put
echo '{"changed": true}'
