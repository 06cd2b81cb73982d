set -eu
fail() { echo "$*" >&2; exit 1; }
[ -e "$AT" ] || fail "there is no $AT"
# -P: one line a file system, whatever the length of its name; its name may hold blanks, so columns count from the mark %
line=$(LC_ALL=C df -Pk -- "$AT" | tail -n 1)
printf '%s\n' "$line" | MIN_PERCENT=$MIN_PERCENT MIN_MIB=$MIN_MIB AT=$AT awk '
    match($0, / +[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+% /) {
        split(substr($0, RSTART, RLENGTH), part, " ")
        size = int(part[1] / 1024); free = int(part[3] / 1024); used = part[4] + 0
        printf "{\"usedPercent\": %d, \"freeMiB\": %d, \"sizeMiB\": %d}\n", used, free, size
        if (100 - used < ENVIRON["MIN_PERCENT"] + 0 || free < ENVIRON["MIN_MIB"] + 0) {
            printf "%s: %d MiB free, %d%% in use\n", ENVIRON["AT"], free, used > "/dev/stderr"
            exit 1
        }
        found = 1
    }
    END { if (!found) exit 1 }
'
