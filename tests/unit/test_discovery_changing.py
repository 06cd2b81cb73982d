"""A change of a document that a person wrote: as few lines as can be, and never anything else than was meant."""

import pytest

from engine.canonical import canonical
from engine.discovery.changing import Drop, Put, changed
from schemas.guard import load

OWN = """\
# my own words
apiVersion:   opsconductor/v1
kind: Target
metadata:
    name:   web-1
    annotations: { mac: "36:db:88:f0:49:d7" , mine: 'x' }   # mac
spec:
    connections:
        http: {   baseUrl: "http://10.79.9.14/"   }


    os:   other
    host:   "10.79.9.14"   # wo er steht: Öffentlich
"""


def lines_changed(before: str, after: bytes) -> list[tuple[str, str]]:
    pairs = zip(before.split("\n"), after.decode().split("\n"), strict=True)
    return [(old.strip(), new.strip()) for old, new in pairs if old != new]


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_moved_host_is_a_line_however_the_file_is_written(ends: str) -> None:
    text = OWN.replace("\n", ends)
    made = changed(text.encode(), 0, [Put(("spec", "host"), "10.79.9.9")])
    assert lines_changed(text, made) == [
        ('host:   "10.79.9.14"   # wo er steht: Öffentlich', 'host:   "10.79.9.9"   # wo er steht: Öffentlich')
    ]


def test_values_within_braces_and_beside_what_is_not_ascii_are_found() -> None:
    text = OWN.replace("{ mac", "{ über: ä, mac").replace("'x'", "'it''s'")
    changes = [
        Put(("metadata", "annotations", "mac"), 'a "b" \\ ü'),
        Put(("metadata", "annotations", "mine"), "that's"),
        Put(("spec", "connections", "http", "baseUrl"), "http://10.79.9.9/"),
        Put(("spec", "os"), "linux"),
    ]
    made = changed(text.encode(), 0, changes)
    assert [new for _, new in lines_changed(text, made)] == [
        "annotations: { über: ä, mac: \"a \\\"b\\\" \\\\ ü\" , mine: 'that''s' }   # mac",
        'http: {   baseUrl: "http://10.79.9.9/"   }',
        "os:   linux",
    ]
    (document,) = load(made, "").documents
    assert document["metadata"]["annotations"] == {"über": "ä", "mac": 'a "b" \\ ü', "mine": "that's"}


@pytest.mark.parametrize(
    "value", ["on", "1", "", "a: b", "# x", "x #y", "- a", "{", "${{ x }}", "10.0.0.1", 5, True, None]
)
def test_whatever_the_value_is_it_is_what_is_read(value: object) -> None:
    for text in (OWN, canonical(OWN.encode()).decode(), OWN.replace('"10.79.9.14"', "plain")):
        (document,) = load(changed(text.encode(), 0, [Put(("spec", "host"), value)]), "").documents
        assert document["spec"]["host"] == value


@pytest.mark.parametrize(
    "change", [Put(("spec", "facts"), {"a": 1}), Drop(("spec", "os")), Put(("spec", "os"), "two\nlines\n")]
)
def test_what_is_no_value_of_one_line_is_written_in_the_canonical_form(change: Put | Drop) -> None:
    made = changed(OWN.encode(), 0, [change, Put(("metadata", "name"), "web-2")])
    assert made == canonical(made)
    (document,) = load(made, "").documents
    assert document["metadata"]["name"] == "web-2" and b"# my own words" in made
