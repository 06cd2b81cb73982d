"""Whether who asks may: an act, by the Policies in force and the signature of the commit that brought it."""

from engine import permissions, permits
from engine.catalog import Catalog
from engine.needs import of_act
from engine.permits import Forbidden, Permitted, Waiting
from engine.trust import Mode, Signature, actor
from reconciler.answers import Answer
from schemas.reader import Authored


def refusal(authored: Authored, by: Signature, mode: Mode, catalog: Catalog, about: str | None = None) -> Answer | None:
    """Why an act is not heard; None: it is. `about` is what a run or a gate that it names is of, as `Job/x`.

    Without signatures nobody knows who asks: then everybody may who can push.
    """
    if mode == "none" or not catalog.policies:
        return None
    need = of_act(permissions.of(catalog), authored, catalog, about)
    person = actor(by)
    if need is None:
        return None
    match permits.judged((need,), (person,) if person is not None else ()):
        case Permitted():
            return None
        case Forbidden(message=message):
            return Answer("refused", "forbidden", message)
        case Waiting():
            message = "the rule that allows it asks for approvals, which a request cannot have: give it to a workflow"
            return Answer("refused", "forbidden", f"{need.verb} {need.about}: {message} with an approval gate")
