"""The canonical form: one layout, every comment, and nothing said otherwise than before."""

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.canonical import Sealed, canonical
from engine.commented import NotFormatted
from schemas.guard import NOTHING, load

ROOT = Path(__file__).parents[2]
WRITTEN = [
    path
    for folder in ("docs", "libraries", "opsconductor", "runners", "tests/cases/documents")
    for path in sorted((ROOT / folder).rglob("*.yaml"))
    if not load(path.read_bytes(), path.name).findings
]


def form(text: str) -> str:
    return canonical(dedent(text).lstrip("\n").encode()).decode()


def test_files_are_there_to_be_tried() -> None:
    assert len(WRITTEN) > 100


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_people_wrote_says_the_same_and_is_canonical_once_it_is(path: Path) -> None:
    before = load(path.read_bytes(), "").documents
    try:
        once = canonical(path.read_bytes())
    except Sealed:
        assert b"sops:" in path.read_bytes()
        return
    except NotFormatted as error:
        assert "mappings" in str(error)
        return
    assert canonical(once) == once
    assert [one for one in load(once, "").documents if one is not NOTHING] == [
        one for one in before if one is not NOTHING
    ]


def test_a_document_of_all_sorts() -> None:
    written = """
        # yaml-language-server: $schema=x.json

        ---   # first
        spec:   # what it does
            targets:  {names:   [ web-01,web-02 ]}   # where


            # The steps,
            # in order.
            steps:
            -   id: one      # begins

                run:   |    # a script
                      echo "# no comment"
                        indented

                      end


            # about two
            - run: "true"
              env: {
                 A: b,   # of A
                 C: "d"
              }
            # below the last
            outputs:
                x:   'y'
        metadata:
            labels:   {a: b}
            # its name
            name:    greet
        # the kind
        kind: Job
        apiVersion: opsconductor/v1
        # at the end
        ---
        ---
        # of the second
        kind: TargetGroup
        metadata: {name: g}
        spec:
          names:
          - a
          -   b    # bee
    """
    expected = """
        # yaml-language-server: $schema=x.json

        # first
        apiVersion: opsconductor/v1
        # the kind
        kind: Job
        metadata:
          # its name
          name: greet
          labels: {a: b}
        spec:  # what it does
          targets: {names: [web-01, web-02]}  # where

          # The steps,
          # in order.
          steps:
            - id: one  # begins

              run: |  # a script
                echo "# no comment"
                  indented

                end

            # about two
            - run: "true"
              env:
                A: b  # of A
                C: "d"
          # below the last
          outputs:
            x: 'y'
        # at the end
        ---
        # of the second
        kind: TargetGroup
        metadata: {name: g}
        spec:
          names:
            - a
            - b  # bee
    """
    assert form(written) == dedent(expected).lstrip("\n")
    assert form(form(written)) == form(written)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("a: {b: c, d: }\n", "a: {b: c, d: null}\n"),
        ("a:\n- - 1\n  - 2\n- {}\n- []\n", "a:\n  - - 1\n    - 2\n  - {}\n  - []\n"),
        ("a: >-\n     one\n     two\n\n\nb: |+\n  x\n\nc: 1\n", "a: >-\n  one\n  two\n\nb: |+\n  x\n\nc: 1\n"),
        ("a: |2\n    x\n  y\n", "a: |2\n    x\n  y\n"),
        ("a:\n  - b: |4\n          x\n        y\n", "a:\n  - b: |2\n        x\n      y\n"),
        ("a: one\n   two\n\n   three  # end\n", "a: one\n  two\n\n  three  # end\n"),
        ('a: "one\n   two \\\n     three"\n', 'a: "one\n  two \\\n  three"\n'),
        ("a: 1\r\nb:\r\n    - c\r\n", "a: 1\nb:\n  - c\n"),
        ("a: 1   \n\n\n\n", "a: 1\n"),
        ("a:  \u00e9\u3000\n", "a: \u00e9\u3000\n"),
        ("# only words\n", "# only words\n"),
        ("", ""),
        ("a: {b: " + "c" * 120 + "}\n", "a:\n  b: " + "c" * 120 + "\n"),
        ("kind: Job\na: b\napiVersion: x\n", "apiVersion: x\nkind: Job\na: b\n"),
        ("a:\n  # first\n  b: 1\n  # last\nc: 2\n", "a:\n  # first\n  b: 1\n  # last\nc: 2\n"),
        ("a:\n- 1\n# of c\nc: 2\n", "a:\n  - 1\n# of c\nc: 2\n"),
        ("a:\n-   # of b\n  b: 1\n", "a:\n  # of b\n  - b: 1\n"),
    ],
)
def test_single_rules(written: str, expected: str) -> None:
    try:
        made = canonical(written.encode()).decode()
    except NotFormatted as error:
        made = str(error)
    assert made == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [\n", "mistakes"),
        ("a: &x 1\nb: *x\n", "mistakes"),
        ("just a text\n", "mappings"),
        ("kind: Credential\ndata: {value: x}\nsops: {mac: y}\n", "check sums"),
    ],
)
def test_what_is_left_as_it_is(text: str, why: str) -> None:
    with pytest.raises(NotFormatted, match=why):
        canonical(text.encode())


_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12)
_PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(-99, 99), _TEXTS, st.sampled_from(["a\nb", "a\n\n  b\n", "# no"])
)
_DATA = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9]{0,6}", fullmatch=True),
    st.recursive(
        _PLAIN,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.dictionaries(st.from_regex(r"[a-z][a-z0-9]{0,6}", fullmatch=True), inner, max_size=4),
        ),
        max_leaves=12,
    ),
    min_size=1,
    max_size=5,
)
_LAYOUT: dict[str, Any] = {"allow_unicode": True, "sort_keys": False}


@settings(max_examples=150, deadline=None)
@given(_DATA, st.integers(2, 6), st.sampled_from([None, False, True]), st.integers(20, 200))
def test_whatever_wrote_it_the_data_stay(data: dict[str, Any], indent: int, flow: bool | None, width: int) -> None:
    written = yaml.safe_dump(data, indent=indent, default_flow_style=flow, width=width, **_LAYOUT).encode()
    before = load(written, "")
    if before.findings or not all(isinstance(one, dict) and "sops" not in one for one in before.documents):
        return
    made = canonical(written)
    assert repr(load(made, "").documents) == repr(before.documents)
    assert canonical(made) == made


@settings(max_examples=80, deadline=None)
@given(_DATA)
def test_how_deep_somebody_indents_makes_no_difference(data: dict[str, Any]) -> None:
    forms = set()
    for indent in (2, 3, 6):
        written = yaml.safe_dump(data, indent=indent, default_flow_style=False, width=10_000, **_LAYOUT).encode()
        if load(written, "").findings:
            return
        forms.add(canonical(written))
    assert len(forms) == 1
