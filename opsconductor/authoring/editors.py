"""What editors need to complete and check documents: a schema beside them, and where it is."""

import json
from posixpath import relpath, split

SCHEMA_FILE = ".opsconductor/schema.json"


def settings() -> dict[str, str]:
    """The files by their paths: the schema of this version, and the settings of an editor that reads no modelines."""
    from schemas.publish import schema

    globs = ["opsconductor.yaml", "definitions/**/*.yaml"]
    vscode = {"yaml.schemas": {SCHEMA_FILE: globs}, "yaml.schemaStore.enable": False}
    return {
        SCHEMA_FILE: json.dumps(schema(None), indent=1, ensure_ascii=False) + "\n",
        ".vscode/settings.json": json.dumps(vscode, indent=2) + "\n",
        ".vscode/extensions.json": json.dumps({"recommendations": ["redhat.vscode-yaml"]}, indent=2) + "\n",
    }


def modeline(path: str) -> str:
    """The comment by which the language servers of most editors find the schema, for the file at `path`."""
    way = relpath(SCHEMA_FILE, split(path)[0] or ".")
    return f"# yaml-language-server: $schema={way if way.startswith('../') else './' + way}\n"
