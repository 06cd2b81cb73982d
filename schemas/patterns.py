"""Regular expressions by which the published schemas say what the parsers of texts refuse, as far as any can.

They refuse nothing that the parsers take. Read by JavaScript and Python alike, with look-ahead.
"""


def up_to(most: int) -> str:
    """Decimal digits, also with zeros before them, of a number from 0 to `most`."""
    digits = str(most)
    choices = [rf"[0-9]{{1,{len(digits) - 1}}}"] if len(digits) > 1 else []
    for at, digit in enumerate(digits):
        if digit != "0" and (at > 0 or digit > "1" or len(digits) == 1):
            low = 1 if at == 0 and len(digits) > 1 else 0
            choices.append(digits[:at] + _below(low, int(digit)) + _any(len(digits) - at - 1))
    return f"0*(?:{'|'.join([*choices, digits])})"


def _below(low: int, digit: int) -> str:
    return str(low) if digit - low == 1 else f"[{low}-{digit - 1}]"


def _any(digits: int) -> str:
    return "" if not digits else "[0-9]" if digits == 1 else f"[0-9]{{{digits}}}"


_YEAR = "(?!0000)[0-9]{4}"
_LEAP = "(?!0000)(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
_LONG = "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
_SHORT = "(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
_FEBRUARY = "02-(?:0[1-9]|1[0-9]|2[0-8])"
_DAY = f"(?:{_YEAR}-(?:{_LONG}|{_SHORT}|{_FEBRUARY})|{_LEAP}-02-29)"
_HOUR = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"

DAY = f"^{_DAY}$"
"""A day that exists, leap years and all."""
INSTANT = rf"^{_DAY}[Tt]{_HOUR}:[0-5][0-9](?:\.[0-9]{{1,6}})?(?:[Zz]|[+-]{_HOUR})$"
"""RFC 3339 with an offset."""
_LIMITS = f"(?:{up_to(3660)}d)?(?:{up_to(3660 * 24)}h)?(?:[0-9]{{1,6}}m)?(?:[0-9]{{1,9}}s)?"
DURATION = f"^(?=.){_LIMITS}$"
PERIOD = f"^(?=.*[1-9]){_LIMITS}$"
"""A duration that is not nothing."""
POSITIVE_SHARE = f"^(?=.*[1-9])(?=.{{2,4}}$){up_to(100)}%$"
SHARE = f"^(?=.{{2,4}}$){up_to(100)}%$"

_INSIDE = r"(?![/~])(?!(?:.*/)?\.\.(?:/|$))"
_CHARACTERS = r"[^\\\x00-\x1f\x7f]+"
PATH = f"^{_INSIDE}{_CHARACTERS}$"
"""From the repository's root, and not out of it."""
GLOB = rf"^{_INSIDE}(?!.*[\[\]{{}}])(?!.*[^/]\*\*)(?!.*\*\*[^/]){_CHARACTERS}$"
_NO_EXPRESSION = r"(?![\s\S]*\$\{\{)"
PLAIN_WORD = rf"^{_NO_EXPRESSION}[^\x00]+$"
"""A text that is no expression, and that a program can be given."""
PLAIN_URL = rf"^{_NO_EXPRESSION}https?://[^\s/-][^\s]*$"
CERTIFICATE = rf"^(?:\s*-----BEGIN [\s\S]*|{_INSIDE}{_CHARACTERS})$"
"""PEM text, or a path."""
_FOR_GIT = r"(?!.*(?:\.\.|//|/\.|\.lock(?:/|$)|[/.]$))"
BRANCH = rf"^(?![-/.])(?!.*@\{{){_FOR_GIT}(?!@$)[^\x00-\x20\x7f~^:?*\[\\]+$"
BRANCH_NAME = f"^{_FOR_GIT}[A-Za-z0-9][A-Za-z0-9._/-]*$"
BRANCH_REF = f"^{_FOR_GIT}refs/heads/[A-Za-z0-9_][A-Za-z0-9._/-]*$"

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_FOUR = rf"(?:{_OCTET}\.){{3}}{_OCTET}"
_GROUP = "[0-9A-Fa-f]{0,4}"
_SIX = rf"(?![^%]*::[^%]*::)(?![^%]*:::)(?:{_GROUP}:){{2,8}}(?:{_GROUP}|{_FOUR})(?:%[^/%\s]+)?(?:/{up_to(128)})?"
NETWORK = f"^(?:{_FOUR}(?:/(?:{up_to(32)}|{_FOUR}))?|{_SIX})$"
"""An address, or a network; whether it is an address in a network is left open."""
_PORT = up_to(65535)
PORTS = f"^(?!0+-)(?=[0-9]{{1,5}}-[0-9]{{1,5}}$){_PORT}-(?!0+$){_PORT}$"
"""From one port to another; whether it is the higher one is left open."""

_FIELD = r"[0-9A-Za-z_*/,-]+"
CRON = rf"^[ \t]*{_FIELD}(?:[ \t]+{_FIELD}){{4}}[ \t]*$"
"""Five fields; what they say is left open."""
