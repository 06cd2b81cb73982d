"""Calendar events with the instants that systemd itself finds for them: what an import is held against.

`python -m tests.systemd_calendar` asks the systemd of this machine anew, for each text in the file of cases.
"""

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import yaml

CASES = Path(__file__).parent / "cases" / "systemd-calendar.yaml"
START = datetime(2026, 1, 1, tzinfo=UTC)
MANY = 6
PROGRAM = shutil.which("systemd-analyze")
_FOUND = re.compile(r"(?:elapse|Iter(?:ation|\.) #\d+): \w+ (\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)")


def cases() -> dict[str, list[str] | None]:
    """Texts with their instants; None where systemd refuses the text."""
    found = yaml.safe_load(CASES.read_text())
    assert isinstance(found, dict)
    return found


def asked(text: str) -> list[str] | None:
    """What the systemd of this machine says; where there is none, what is known of it."""
    if PROGRAM is None:
        return cases()[text]
    command = [PROGRAM, "calendar", f"--base-time={START:%Y-%m-%d %H:%M:%S}", f"--iterations={MANY}", "--", text]
    answer = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "TZ": "UTC", "LC_ALL": "C"}
    )
    if answer.returncode:
        return None
    return [f"{day}T{time}Z" for day, time in _FOUND.findall(answer.stdout)]


def main() -> None:
    above = [line for line in CASES.read_text().splitlines(keepends=True) if line.startswith("#")]
    found = {text: asked(text) for text in cases()}
    body = yaml.safe_dump(found, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120)
    CASES.write_text("".join(above) + body)


if __name__ == "__main__":
    main()
