"""JSON as the journal keeps it: compact, sorted as given, and never NaN."""

import json
from typing import Any


def to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
