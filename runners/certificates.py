"""Certificates that documents name by their path in the repository: their text, before anybody uses them."""

import asyncio
from dataclasses import replace

from engine.runs.pinned import PinnedTarget
from runners.repository import NoFile, Read
from runners.steps import ReadyStep
from schemas.paths import PEM, is_inside


def certificate(written: str, read: Read) -> str:
    """The PEM text of a certificate that is written out or named by its path. Blocks. Raises NoFile."""
    if PEM in written:
        return written
    try:
        text = read(written).decode("ascii")
    except UnicodeDecodeError as error:
        raise NoFile(f"'{written}' is no certificate as PEM") from error
    if PEM not in text:
        raise NoFile(f"'{written}' is no certificate as PEM")
    return text


def names_certificates(target: PinnedTarget) -> bool:
    """Whether a connection of the target names a certificate by its path."""
    for name in ("http", "winrm"):
        settings = getattr(target.connections, name)
        if settings is not None and settings.ca_cert is not None and PEM not in settings.ca_cert:
            return True
    return False


def with_certificates(target: PinnedTarget, read: Read) -> PinnedTarget:
    """The target with the text of certificates in place of their paths; one that cannot be read stays. Blocks."""
    found = {}
    for name in ("http", "winrm"):
        settings = getattr(target.connections, name)
        if settings is None or settings.ca_cert is None or PEM in settings.ca_cert:
            continue
        try:
            found[name] = settings.model_copy(update={"ca_cert": certificate(settings.ca_cert, read)})
        except NoFile:
            continue
    return replace(target, connections=target.connections.model_copy(update=found)) if found else target


async def with_certificate(step: ReadyStep, read: Read) -> ReadyStep:
    """The step with the text of the certificate that its input `caCert` names. Raises NoFile."""
    written = step.inputs.get("caCert")
    if not isinstance(written, str) or PEM in written:
        return step
    if not is_inside(written):
        raise NoFile(f"'caCert': '{written[:200]}' is no path within the repository")
    return replace(step, inputs={**step.inputs, "caCert": await asyncio.to_thread(certificate, written, read)})
