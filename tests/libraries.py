"""Jobs that use libraries, planned from documents as users write them."""

import hashlib
from collections.abc import Mapping
from typing import Any

from engine.catalog import Catalog
from engine.compile import compile_files
from engine.runs.planning import Planned, plan_run
from engine.vendored import digest, file_of, vendored
from schemas.reader import read
from tests.catalogs import HEAD, PROJECT

HERE = "kind: Target\nmetadata: {name: here}\nspec: {connections: {local: {}}}\n"


def library(name: str, steps: Mapping[str, str], *, version: str = "1.0.0", requires: str = "[]") -> dict[str, str]:
    """The files of a library. A step is the text of its spec, or a file where its name has a suffix."""
    files = {
        "library.yaml": f"{HEAD}kind: StepLibrary\nmetadata: {{name: {name}}}\n"
        f"spec: {{version: {version}, requires: {requires}}}\n"
    }
    for step, text in steps.items():
        if "." in step:
            files[f"steps/{step}"] = text
        else:
            files[f"steps/{step}.yaml"] = f"{HEAD}kind: Step\nmetadata: {{name: {step}}}\nspec:\n{text}"
    return {f"libraries/{name}/{path}": text for path, text in files.items()}


def lock(files: Mapping[str, str]) -> str:
    """The lock file of the libraries among the files."""
    lines = ["libraries:"]
    for name in sorted({path.split("/")[1] for path in files}):
        inner = {
            path.split("/", 2)[2]: hashlib.sha256(text.encode()).hexdigest()
            for path, text in files.items()
            if path.startswith(f"libraries/{name}/")
        }
        lines.append(f"  {name}: {{source: ../{name}, digest: '{digest(inner.items())}'}}")
    return "\n".join(lines) + "\n"


def catalog(files: Mapping[str, str], *documents: str, commit: str = "c" * 40) -> Catalog:
    """The catalog of a valid tree with these libraries, locked as they are."""
    parsed = [read(PROJECT.encode(), "opsconductor.yaml")]
    parsed += [read((HEAD + text).encode(), f"definitions/{n}.yaml") for n, text in enumerate(documents)]
    held = vendored([file_of(path, text.encode()) for path, text in files.items()], lock(files).encode())
    compiled = compile_files(commit, parsed, libraries=held)
    assert compiled.catalog is not None, compiled.findings
    assert not compiled.catalog.held, compiled.catalog.held
    return compiled.catalog


def job(steps: str, *, spec: str = "", targets: str = "{names: [here]}") -> str:
    """A job `j`; `steps` is a list in YAML."""
    return f"kind: Job\nmetadata: {{name: j}}\nspec:\n  targets: {targets}\n{spec}  steps:\n{steps}"


def planned(found: Catalog, params: Mapping[str, Any] | None = None) -> Planned:
    """The plan of the job `j`."""
    plan = plan_run(found, found.jobs["j"], params=params or {})
    assert isinstance(plan, Planned), plan
    return plan
