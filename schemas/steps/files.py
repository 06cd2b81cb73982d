"""Step types that bring files to a target and back. What is put in place appears whole, by a rename."""

from schemas.steps.types import (
    CHECKSUM,
    MODE,
    REMOTE_PATH,
    REPOSITORY_FILE,
    StepType,
    mapping,
    said_of,
    several,
    size,
    text,
    truth,
)

_CONTENT = {
    "source": REPOSITORY_FILE,
    "content": text("The content itself; a secret may be the whole of it.", "name: app\n", longest=262_144),
    "destination": REMOTE_PATH,
    "checksum": CHECKSUM,
    "createFolders": truth("Make the folders above it that are not there."),
    "backup": truth("Keep the file that was there, with the instant after its name."),
}
_OWNED = {
    "mode": MODE,
    "owner": text("The user it belongs to; needs `become` for another than one's own.", "app", longest=64),
    "group": text("The group it belongs to.", "app", longest=64),
}
_FETCHED = {
    "source": REMOTE_PATH,
    "destination": text(
        "A path below the run's folder of files, which lies beside its logs and goes with them. Left out, the content"
        " is the step's `stdout`.",
        "backups/app.conf",
        pattern=r"^[^/~\\][^\\]*$",
    ),
    "checksum": CHECKSUM,
    "maxSize": size("What is larger fails the step; 64MiB by default.", "64MiB"),
}
_ONE_CONTENT = (("source", "content"),)

TYPES = (
    StepType(
        "sftp.upload",
        description="Puts a file of the repository, or a text, onto a target.",
        inputs={**_CONTENT, **_OWNED},
        required=frozenset({"destination"}),
        one_of=_ONE_CONTENT,
        results=said_of(changed="boolean", checksum="string"),
        secret=frozenset({"content"}),
        files=frozenset({"source"}),
        needs="files",
        over="ssh",
        examples=({"source": "files/app.conf", "destination": "/etc/app/app.conf", "mode": "0644"},),
    ),
    StepType(
        "sftp.download",
        description="Fetches a file from a target.",
        inputs=_FETCHED,
        required=frozenset({"source"}),
        results=said_of(checksum="string", size="integer", file="string"),
        needs="files",
        over="ssh",
        examples=({"source": "/etc/app/app.conf"},),
    ),
    StepType(
        "sftp.sync",
        description="Makes a folder on a target like one in the repository.",
        inputs={
            "source": text("A folder, as a path from the repository's root.", "files/site", pattern=r"^[^/~\\][^\\]*$"),
            "destination": REMOTE_PATH,
            "delete": truth("Remove what the repository does not have; never what `exclude` matches."),
            "exclude": several(
                "Globs of paths below the folder to leave alone.",
                {"type": "string", "minLength": 1, "maxLength": 1024},
                ["*.log", "cache/**"],
            ),
            "folderMode": MODE,
            **_OWNED,
        },
        required=frozenset({"source", "destination"}),
        results=said_of(changed="boolean", uploaded="integer", deleted="integer"),
        needs="files",
        over="ssh",
        examples=({"source": "files/site", "destination": "/srv/site", "delete": True},),
    ),
    StepType(
        "winrm.copy",
        description="Puts a file of the repository, or a text, onto a Windows target.",
        inputs=_CONTENT,
        required=frozenset({"destination"}),
        one_of=_ONE_CONTENT,
        results=said_of(changed="boolean", checksum="string"),
        secret=frozenset({"content"}),
        files=frozenset({"source"}),
        needs="files",
        over="winrm",
        examples=({"source": "files/app.ini", "destination": "C:\\app\\app.ini"},),
    ),
    StepType(
        "winrm.fetch",
        description="Fetches a file from a Windows target.",
        inputs=_FETCHED,
        required=frozenset({"source"}),
        results=said_of(checksum="string", size="integer", file="string"),
        needs="files",
        over="winrm",
        examples=({"source": "C:\\app\\app.log", "maxSize": "1MiB"},),
    ),
    StepType(
        "template",
        description="Renders a Jinja file of the repository onto a target: over `vars`, and what expressions see.",
        inputs={
            "source": REPOSITORY_FILE,
            "destination": REMOTE_PATH,
            "vars": mapping("Values for the template, by name.", {"port": 8080}),
            "createFolders": _CONTENT["createFolders"],
            "backup": _CONTENT["backup"],
            **_OWNED,
        },
        required=frozenset({"source", "destination"}),
        results=said_of(changed="boolean", checksum="string"),
        files=frozenset({"source"}),
        needs="files",
        examples=({"source": "files/app.conf.j2", "destination": "/etc/app/app.conf", "vars": {"port": 8080}},),
    ),
)
