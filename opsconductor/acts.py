"""Acts as documents: what asks for a run, its end or its repetition, or says yes or no at a gate. Pure.

The command line pushes them; pages and agents only show them, with the command and the git that do the same.
"""

import hashlib
import json
import re
import secrets
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from engine.authority.trust import MADE_FOR
from opsconductor.authoring.writtenyaml import as_yaml
from schemas.project import DEFAULT_STATUS_REF

Spec = dict[str, Any]
GATE_DIGITS = 12
"""Hexadecimal digits of a gate's digest that people are shown."""


@dataclass(frozen=True, slots=True)
class Act:
    """A document that the engine judges once, by its name. `words` are the program's own command for it."""

    kind: Literal["RunRequest", "Approval"]
    name: str
    spec: Mapping[str, Any]
    words: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The document as YAML."""
        head = {"apiVersion": "opsconductor/v1", "kind": self.kind, "metadata": {"name": self.name}}
        return as_yaml({**head, "spec": dict(self.spec)})

    @property
    def path(self) -> str:
        """Where it stands on the branch of requests."""
        return f"requests/{self.name}.yaml"

    @property
    def message(self) -> str:
        """Of the commit that brings it."""
        return f"request: {self.name}"

    @property
    def command(self) -> str:
        """The command that makes such an act, for a POSIX shell."""
        return shlex.join(("opsconductor", *self.words))


def plain_secrets(known: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """The params that are secrets by their schemas in `known` and would stand in git as they are."""
    return [
        name
        for name, value in given.items()
        if known.get(name, {}).get("secret") is True and not (value is None or _names_a_credential(value))
    ]


def _names_a_credential(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"credentialRef", "field"}


def act_name(about: str, now: datetime, chance: str | None = None) -> str:
    """A name nobody else gives: what it is about, when, and chance. At most 63 characters."""
    stamp = now.strftime("%Y%m%dt%H%M%Sz")
    topic = re.sub(r"[^a-z0-9.-]+", "-", about.lower())[:40].strip(".-")
    return f"{topic or 'act'}-{stamp}-{chance or secrets.token_hex(3)}"


def shown_name(about: str, seed: Sequence[str], at: datetime) -> str:
    """A name for an act that is shown and not pushed: the same within an hour while the seed is the same.

    So a page that is drawn again says what it said, and an act that is pushed twice from it counts once.
    """
    hour = at.replace(minute=0, second=0, microsecond=0)
    return act_name(about, hour, hashlib.sha256("\0".join((about, *seed)).encode()).hexdigest()[:6])


# --- what is asked for ---


def started(name: str, *, workflow: bool = False, params: Mapping[str, Any] | None = None, dry: bool = False) -> Spec:
    """A run of a job or workflow."""
    spec: Spec = {"workflowRef" if workflow else "jobRef": name}
    if params:
        spec["params"] = dict(params)
    return spec | ({"dryRun": True} if dry else {})


def scanned(discovery: str) -> Spec:
    """A scan for a Discovery."""
    return {"discoveryRef": discovery}


def cancelled(run: str) -> Spec:
    """The end of a run."""
    return {"action": "cancel", "run": run}


def rerun(
    run: str, *, failed_only: bool = False, from_step: str | None = None, at: str = "original", dry: bool = False
) -> Spec:
    """A run once more. `at` is original or current."""
    spec = {"failedOnly": failed_only or None, "fromStep": from_step, "at": at, "dryRun": dry or None}
    return {"action": "rerun", "run": run} | {key: value for key, value in spec.items() if value is not None}


def resumed(run: str, from_step: str | None = None, *, dry: bool = False) -> Spec:
    """A run from where it stopped."""
    spec = {"fromStep": from_step, "dryRun": dry or None}
    return {"action": "resume", "run": run} | {key: value for key, value in spec.items() if value is not None}


def voted(gate: str, decision: Literal["approve", "reject"]) -> Spec:
    """Yes or no at the gate of this digest."""
    return {"gate": gate, "decision": decision}


def because(spec: Mapping[str, Any], reason: str) -> Spec:
    """The same with the reason, if there is one."""
    return {**spec, **({"reason": reason} if reason else {})}


# --- the command that does the same ---


def words(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The command line that makes an act with this spec, without the program's own name.

    Raises ValueError for what only a document can say: steps of its own, priority, instants.
    """
    if unsaid := sorted(spec.keys() & {"job", "priority", "notBefore", "expiresAt"}):
        raise ValueError(f"no command says {', '.join(unsaid)}")
    if "gate" in spec:
        found = [spec["decision"], str(spec["gate"]).removeprefix("sha256:")[:GATE_DIGITS]]
    else:
        found = _words_of_request(spec)
    return (*found, *(("--reason", str(spec["reason"])) if spec.get("reason") else ()))


def _words_of_request(spec: Mapping[str, Any]) -> list[str]:
    action = spec.get("action", "start")
    if "discoveryRef" in spec:
        return ["discover", str(spec["discoveryRef"])]
    found = ["run", str(spec.get("jobRef") or spec["workflowRef"])] if action == "start" else [action, spec["run"]]
    for key, value in (spec.get("params") or {}).items():
        if action != "start":
            raise ValueError("no command gives params to a repetition")
        found += ["-p", f"{key}={_written(value)}"]
    found += ["--failed-only"] if spec.get("failedOnly") else []
    found += ["--from-step", spec["fromStep"]] if spec.get("fromStep") else []
    found += ["--at", "current"] if spec.get("at") == "current" else []
    found += ["--limit", _limit(spec["limit"])] if spec.get("limit") else []
    return found + (["--dry-run"] if spec.get("dryRun") else [])


def _written(value: Any) -> str:
    """A value as `-p` takes it: YAML on one line, so that text which reads as a number is quoted."""
    return json.dumps(value, ensure_ascii=False)


def _limit(limit: Mapping[str, Any]) -> str:
    names = limit.get("names")
    if not names or set(limit) != {"names"}:
        raise ValueError("no command says this limit")
    return ",".join(names)


# --- the git that does the same ---


def made_for(engine: str) -> str:
    """The line of a commit's message that says for which engine it was made."""
    return f"{MADE_FOR}: {engine}"


def git_commands(act: Act, ref: str, status: str = DEFAULT_STATUS_REF) -> str:
    """A block for a POSIX shell, in any clone or in the repository itself: commits the document for the engine.

    It touches neither the files nor the branches of the clone, as `opsconductor run` does not. What is signed by
    `commit.gpgsign` is signed here too. It says for which engine it is made, by the branch of `status`.
    """
    end = delimiter(act.text)
    path, message = shlex.quote(act.path), shlex.quote(act.message)
    return f"""( set -e
remote="$(git remote | grep -x origin || git remote | head -n 1)"
remote="${{remote:-.}}" branch={shlex.quote(ref)}
export GIT_INDEX_FILE="$(mktemp -u)"
base="$(git ls-remote "$remote" "$branch" | cut -f1)"
if [ -n "$base" ]; then git fetch --quiet "$remote" "$branch"; fi
git fetch --quiet "$remote" {shlex.quote(status)} && engine="$(git show FETCH_HEAD:sync.yaml)" || engine=
engine="$(printf '%s\\n' "$engine" | sed -n 's/^    id: //p' | head -n 1 | tr -d "\\"'")"
made="{MADE_FOR}: $engine"
git read-tree ${{base:---empty}}
blob="$(git hash-object -w --stdin <<'{end}'
{act.text.rstrip(chr(10))}
{end}
)"
git update-index --add --cacheinfo "100644,$blob,"{path}
sign="$(git config --type=bool commit.gpgsign | sed -n 's/true/-S/p')"
commit="$(git commit-tree $sign "$(git write-tree)" ${{base:+-p $base}} -m {message} ${{engine:+"-m$made"}})"
git push "$remote" "$commit:$branch"
rm -f "$GIT_INDEX_FILE" )
"""


def delimiter(text: str) -> str:
    """A word for the end of a here-document, which no line of the text is."""
    lines = set(text.split("\n"))
    return next(word for number in range(len(lines) + 1) if (word := f"END{number or ''}") not in lines)
