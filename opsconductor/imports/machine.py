"""The machine on which another tool ran what it was told, as a Target."""

from opsconductor.imports.drafts import Draft, Place, document


def localhost(place: Place) -> Draft:
    """The Target for jobs that ran where the other tool did."""
    target = document(
        "Target",
        "localhost",
        {"connections": {"local": {}}},
        description="The runner's own host.",
    )
    target["spec"] = {"connections": {"local": {}}}
    return Draft("targets/localhost.yaml", place, (target,), if_missing=True)
