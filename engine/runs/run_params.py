"""What a run is given against what its job asks for: defaults filled in, secrets told by the credentials they name."""

import json
from collections.abc import Mapping
from typing import Any

from engine.checks.parameters import faults_of, schema_of
from engine.expressions.bounds import MAX_TEXT
from engine.runs.refused import Refusal
from engine.secretref import SecretRef, written
from schemas.credential import FIELDS
from schemas.envelope import is_name
from schemas.job import JobSpec

_SECRET_FIELDS = frozenset(field for fields in FIELDS.values() for field in fields)


def params_of(takes: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]) -> dict[str, Any]:
    """The params of a run of what takes these; one without a value is null. Raises Refusal (`badParams`)."""
    unknown = sorted(given.keys() - takes.keys())
    if unknown:
        known = ", ".join(takes) or "none"
        raise Refusal("badParams", f"there is no param '{unknown[0]}'; there are: {known}")
    # null for a param without a default is what a run without it records: the same as not giving it.
    left_out = {name for name, value in given.items() if value is None and "default" not in takes[name]}
    defaults = {name: param["default"] for name, param in takes.items() if "default" in param}
    params = {**defaults, **{name: value for name, value in given.items() if name not in left_out}}
    for name, param in takes.items():
        if name in params:
            _check_param(name, param, params[name])
        elif param.get("required") is True:
            raise Refusal("badParams", f"the param '{name}' is required")
    _check_size(params)
    # A param without a value is null for expressions, not missing.
    return {name: params.get(name) for name in takes}


def _check_param(name: str, param: Mapping[str, Any], value: Any) -> None:
    if param.get("secret") is True:
        if _secret_given(value) is None:
            takes = "{credentialRef: <name>, field: <field>}"
            raise Refusal("badParams", f"the secret param '{name}' takes {takes}, and nothing else")
        return
    for path, message in faults_of(schema_of(param), value):
        where = "".join(f"[{part!r}]" for part in path)
        raise Refusal("badParams", f"param '{name}'{where}: {message}")


def secrets_given(job: JobSpec, params: Mapping[str, Any]) -> dict[str, str]:
    """What stands for the secret params where they are used: the fields of the credentials that were named."""
    secret = [name for name, param in job.params.items() if param.get("secret") is True]
    named = {name: _secret_given(params.get(name)) for name in secret}
    return {name: written(secret) for name, secret in named.items() if secret is not None}


def _secret_given(value: Any) -> SecretRef | None:
    """The field of a credential that a secret param names; None where it is anything else."""
    if not isinstance(value, dict) or value.keys() != {"credentialRef", "field"}:
        return None
    credential, wanted = value["credentialRef"], value["field"]
    texts = isinstance(credential, str) and isinstance(wanted, str)
    return SecretRef(credential, wanted) if texts and is_name(credential) and wanted in _SECRET_FIELDS else None


def _check_size(params: Mapping[str, Any]) -> None:
    try:
        size = len(json.dumps(params, ensure_ascii=False, allow_nan=False).encode())
    except (ValueError, TypeError, RecursionError) as problem:
        raise Refusal("badParams", f"the params are no JSON: {problem}") from problem
    if size > MAX_TEXT:
        raise Refusal("badParams", f"the params are larger than {MAX_TEXT // 1024} KiB")
