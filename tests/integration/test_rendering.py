"""Templates in the process that renders them: all that Jinja can do is there, though no file can be opened any more."""

import pytest
from jinja2.defaults import DEFAULT_FILTERS

from runners.rendering import NotRendered, rendered

VALUES = {"xs": [1, 2, 3], "m": {"a": 1}, "ms": [{"a": 1}], "s": "a <b> \u00e4"}
ARGUMENTS = {
    "attr": "{{ s | attr('x') | default('d') }}",
    "batch": "{{ xs | batch(2) | list }}",
    "dictsort": "{{ m | dictsort }}",
    "filesizeformat": "{{ 1000 | filesizeformat }}",
    "format": "{{ '%s' | format(s) }}",
    "groupby": "{{ ms | groupby('a') | list }}",
    "items": "{{ m | items | list }}",
    "join": "{{ xs | join(', ') }}",
    "map": "{{ ms | map(attribute='a') | list }}",
    "reject": "{{ xs | reject('odd') | list }}",
    "rejectattr": "{{ ms | rejectattr('a') | list }}",
    "replace": "{{ s | replace('a', 'b') }}",
    "select": "{{ xs | select('odd') | list }}",
    "selectattr": "{{ ms | selectattr('a') | list }}",
    "slice": "{{ xs | slice(2) | list }}",
    "sum": "{{ xs | sum }}",
    "xmlattr": "{{ m | xmlattr }}",
    **{name: f"{{{{ 1.5 | {name} }}}}" for name in ("abs", "round", "int", "float")},
}


@pytest.mark.parametrize("escape", [None, "html", "markdown"])
async def test_every_filter_is_there(escape: object) -> None:
    every = (ARGUMENTS.get(name, f"{{{{ s | {name} }}}}") for name in sorted(DEFAULT_FILTERS))
    text = await rendered("\n".join(every), VALUES, escape=escape)  # type: ignore[arg-type]  # one of them
    assert len(text.splitlines()) >= len(DEFAULT_FILTERS)


async def test_a_text_in_quotes_is_one() -> None:
    """Every comparison has one: `{% if event.type == 'run.failed' %}`."""
    template = "{% if s == 'x' or s != \"y\" %}{{ none_such | default('-\\u00e4-') }}{% endif %}{{ '{}'.format(1) }}"
    assert await rendered(template, VALUES) == "-\u00e4-1"
    assert await rendered("{{ (s | e).unescape() }}{{ (s | e).striptags() }}", VALUES)


async def test_what_is_missing_is_said_by_its_name() -> None:
    with pytest.raises(NotRendered, match="'gr\u00f6\u00dfe' is undefined"):
        await rendered("{{ gr\u00f6\u00dfe }}", VALUES)
