"""Data as YAML for people, and for the one reader that decides: what YAML 1.1 and 1.2 read differently is quoted."""

import re
from typing import Any

import yaml

_WIDEST = 1 << 20
_NUMBER = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|(?:\.[0-9]|[0-9])[0-9_]*\.?[0-9_]*(?:[eE][-+]?[0-9]+)?)")


class _Dumper(yaml.SafeDumper):
    """Scripts as they were written: several lines stay several lines, and a long one is not folded.

    What YAML 1.2 reads as a number is quoted where it is text, though the library, which writes 1.1, would not.
    """

    def represent_text(self, text: str) -> yaml.ScalarNode:
        style = "|" if "\n" in text else "'" if _NUMBER.fullmatch(text) else None
        return self.represent_scalar("tag:yaml.org,2002:str", str(text), style=style)


_Dumper.add_representer(str, _Dumper.represent_text)
_Dumper.add_multi_representer(str, _Dumper.represent_text)  # instants are texts of a kind of their own


def as_yaml(data: Any) -> str:
    """The data as YAML for people: keys in their order."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDEST)
