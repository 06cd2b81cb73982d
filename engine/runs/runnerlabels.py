"""Which runners a run asks for beyond its pool: labels, as runners say them of themselves. Pure.

In the journal and on the command line they are one text, `k=v,k=v`, in the order of the keys.
"""

from collections.abc import Mapping


def text_of(labels: Mapping[str, str]) -> str | None:
    """The labels as one text; None where there are none."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or None


def labels_of(text: str | None) -> dict[str, str]:
    """What `text_of` wrote."""
    return dict(one.split("=", 1) for one in text.split(",")) if text else {}


def left_to_ask(asked: Mapping[str, str], of_pool: Mapping[str, str]) -> dict[str, str]:
    """What a runner itself must say: the labels of its pool's document hold for each of its runners."""
    return {key: value for key, value in sorted(asked.items()) if of_pool.get(key) != value}


def met(asked: str | None, has: Mapping[str, str] | None) -> bool:
    """Whether a runner with these labels takes such runs. `has` None: it takes all."""
    return has is None or all(has.get(key) == value for key, value in labels_of(asked).items())
