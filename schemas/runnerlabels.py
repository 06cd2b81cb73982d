"""How labels of runners are written: what a flag, a variable and a file of settings can hold without quoting."""

LABEL_KEY = r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$"
LABEL_VALUE = r"^[A-Za-z0-9._-]{0,63}$"
