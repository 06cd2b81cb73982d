"""CI files for a definitions repository: each validates every change and shows what a merge would do."""

from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

from opsconductor import __version__

PROVIDERS: Mapping[str, str] = MappingProxyType(
    {
        "github": ".github/workflows/opsconductor.yaml",
        "gitlab": ".gitlab-ci.yml",
        "gitea": ".gitea/workflows/opsconductor.yaml",
        "forgejo": ".forgejo/workflows/opsconductor.yaml",
        "woodpecker": ".woodpecker/opsconductor.yaml",
    }
)
"""Where each provider looks for its file."""


def file_for(provider: str) -> tuple[str, str]:
    """The path and the text of a provider's file; it installs this very version. KeyError for an unknown provider."""
    path = PROVIDERS[provider]
    text = (files("opsconductor.ci") / f"{provider}.yaml").read_text(encoding="utf-8")
    return path, text.replace("@VERSION@", __version__)
