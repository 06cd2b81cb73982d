set -eu
LC_ALL=C
export LC_ALL
# Names are data: whatever a file system or a host is called, it stays one text of the JSON.
quoted() {
    printf '%s' "$1" | tr -d '\000-\037\177' | cut -c 1-200 | sed 's/\\/\\\\/g; s/"/\\"/g; s/^/"/; s/$/"/' | grep . || printf '""'
}
number() {
    case ${1:-x} in *[!0-9]*) printf null ;; *) printf '%s' "$1" ;; esac
}
os=null
for file in /etc/os-release /usr/lib/os-release; do
    if [ -r "$file" ]; then
        # read, not sourced: it is a file of the host
        name=$(sed -n 's/^PRETTY_NAME=//p' "$file" | tail -n 1 | sed "s/^[\"']//; s/[\"']\$//")
        os=$(quoted "$name")
        break
    fi
done
cpus=$(getconf _NPROCESSORS_ONLN 2>/dev/null || true)
memory=$(awk '/^MemTotal:/ { printf "%d", $2 / 1024 }' /proc/meminfo 2>/dev/null || true)
uptime=$(awk '{ printf "%d", $1 }' /proc/uptime 2>/dev/null || true)
if command -v dpkg-query >/dev/null 2>&1; then
    packages=$(dpkg-query -f '${db:Status-Abbrev}\n' -W 2>/dev/null | grep -c '^.i' || true)
elif command -v rpm >/dev/null 2>&1; then
    packages=$(rpm -qa 2>/dev/null | grep -c . || true)
elif command -v apk >/dev/null 2>&1; then
    packages=$(apk info 2>/dev/null | grep -c . || true)
elif command -v pacman >/dev/null 2>&1; then
    packages=$(pacman -Qq 2>/dev/null | grep -c . || true)
else
    packages=
fi
# a file system that does not answer keeps the others from nothing: df says what it could, and fails
disks=$( (df -Pkl 2>/dev/null || true) | awk '
    NR > 1 && /^\/dev\// && count < 50 && match($0, / +[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+% +/) {
        split(substr($0, RSTART, RLENGTH), part, " ")
        path = substr($0, RSTART + RLENGTH)
        gsub(/[[:cntrl:]]/, "", path); gsub(/\\/, "\\\\", path); gsub(/"/, "\\\"", path)
        if (seen[path]++) next
        printf "%s{\"path\": \"%s\", \"sizeMiB\": %d, \"freeMiB\": %d}", comma, path, part[1] / 1024, part[3] / 1024
        comma = ", "; count++
    }
')
printf '{"os": %s, "kernel": %s, "architecture": %s, "hostname": %s, ' \
    "$os" "$(quoted "$(uname -r)")" "$(quoted "$(uname -m)")" "$(quoted "$(uname -n)")"
printf '"cpus": %s, "memoryMiB": %s, "disks": [%s], "packages": %s, "uptimeSeconds": %s}\n' \
    "$(number "$cpus")" "$(number "$memory")" "$disks" "$(number "$packages")" "$(number "$uptime")"
