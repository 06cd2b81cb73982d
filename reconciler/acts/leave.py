"""Whether who asks may: an act, by the Policies in force and the signature of the commit that brought it."""

from collections.abc import Collection

from engine.authority import permissions, permits
from engine.authority.needs import of_act
from engine.authority.permits import Forbidden, Permitted, Waiting
from engine.authority.trust import Mode, Signature, actor
from engine.catalog import Catalog
from reconciler.acts.answers import Answer
from schemas.reader import Authored


def refusal(authored: Authored, by: Signature, mode: Mode, catalog: Catalog, about: str | None = None) -> Answer | None:
    """Why an approval is not heard; None: it is. `about` is what the gate that it names is of, as `Workflow/x`."""
    found = verdict(authored, by, mode, catalog, about)
    if isinstance(found, Waiting):
        message = f"the rule that allows it asks for approvals, which an approval cannot have: {found.message}"
        return Answer("refused", "forbidden", message)
    return found


def verdict(
    authored: Authored,
    by: Signature,
    mode: Mode,
    catalog: Catalog,
    about: str | None = None,
    approved: Collection[str] = (),
) -> Answer | Waiting | None:
    """Why an act is not done, or not yet; None: it is. `about` is what a run or a gate that it names is of, as `Job/x`;
    `approved` are Users who have approved it.

    Without signatures nobody knows who asks: then everybody may who can push.
    """
    if mode == "none" or not catalog.policies:
        return None
    need = of_act(permissions.of(catalog), authored, catalog, about)
    person = actor(by)
    if need is None:
        return None
    match permits.judged((need,), (person,) if person is not None else (), approved):
        case Permitted():
            return None
        case Forbidden(message=message):
            return Answer("refused", "forbidden", message)
        case Waiting() as waits:
            return waits
