"""A repository has one Project, in `opsconductor.yaml` at its root."""

from collections.abc import Collection, Iterator, Sequence

from schemas.diagnostic import Diagnostic, Related
from schemas.project import Project
from schemas.reader import Authored
from schemas.span import start_of

PROJECT_FILE = "opsconductor.yaml"


def check(documents: Sequence[Authored], unread: Collection[str]) -> Iterator[Diagnostic]:
    """`unread` are files with findings of their own: a Project that is there but wrong is not missing as well."""
    found = [authored for authored in documents if isinstance(authored.document, Project)]
    for authored in found:
        if isinstance(authored.document, Project):
            yield from _branches(authored, authored.document)
    placed = [authored for authored in found if authored.file == PROJECT_FILE]
    if not placed and PROJECT_FILE not in unread:
        hint = "'opsconductor init DIR' writes one; it holds apiVersion, kind: Project and metadata.name"
        message = f"there is no {PROJECT_FILE} at the root of the repository that holds a Project"
        yield Diagnostic(start_of(PROJECT_FILE), "OC303", message, hint)
    for authored in found:
        span = authored.span("kind")
        if authored.file != PROJECT_FILE:
            hint = "remove it, or move its settings there"
            yield Diagnostic(span, "OC304", f"the Project belongs in {PROJECT_FILE} at the root", hint)
        elif authored is not placed[0]:
            related = (Related(placed[0].span("kind"), "the first one"),)
            yield Diagnostic(span, "OC304", "a repository has one Project", "remove one of them", related=related)


def _branches(authored: Authored, project: Project) -> Iterator[Diagnostic]:
    """Status, requests and definitions each need a branch of their own: the engine would feed on what it writes."""
    spec = project.spec
    hint = "give it a name that nothing else uses, or leave it out for the default"
    if spec.status.ref == spec.requests.ref:
        message = "status and requests cannot share a branch"
        yield Diagnostic(authored.span("spec", "status", "ref"), "OC312", message, hint)
    for key, ref in (("status", spec.status.ref), ("requests", spec.requests.ref)):
        if ref == f"refs/heads/{spec.branch or 'main'}":
            message = f"{key}.ref is the branch of the definitions"
            yield Diagnostic(authored.span("spec", key, "ref"), "OC312", message, hint)
