"""Catalogs for tests, compiled from YAML as users write it."""

from engine.catalog import Catalog
from engine.compile import compile_files
from schemas.reader import read

PROJECT = """\
apiVersion: opsconductor/v1
kind: Project
metadata: {name: test}
spec: {}
"""
HEAD = "apiVersion: opsconductor/v1\n"


def catalog(*documents: str, project: str = PROJECT, commit: str = "c" * 40) -> Catalog:
    """The catalog of a valid tree. Each document is given without its apiVersion line."""
    files = [read(project.encode(), "opsconductor.yaml")]
    files += [read((HEAD + text).encode(), f"definitions/{n}.yaml") for n, text in enumerate(documents)]
    compiled = compile_files(commit, files)
    assert compiled.catalog is not None, compiled.findings
    return compiled.catalog


def local_target(name: str, labels: str = "{}") -> str:
    return f"kind: Target\nmetadata: {{name: {name}, labels: {labels}}}\nspec: {{connections: {{local: {{}}}}}}\n"


def job(name: str, run: str = "true", spec: str = "") -> str:
    return f"kind: Job\nmetadata: {{name: {name}}}\nspec:\n  steps: [{{run: '{run}'}}]\n{spec}"
