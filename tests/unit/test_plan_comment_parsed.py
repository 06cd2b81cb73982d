"""The comment as CommonMark reads it: whatever documents say, nothing of it becomes a link, an image or HTML."""

import json
import random
from collections.abc import Iterator

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from opsconductor.plans.planmarkdown import MARK, as_markdown, code
from tests.catalogs import local_target
from tests.planned import planned, tree

PIECES = [
    "`", "``", "```", "<b>", "</details>", "<img src=x>", "[a](b)", "![a](b)", "@all", "|", "*", "_", "~~", "\\", "\n",
    "\n\n", "# h", "- x", "> q", "$x$", "&lt;", "<!--", "-->", "    ", "\t", "https://x.example", "ü", "1. ", "---",
]  # fmt: skip
PLAIN = {
    "bullet_list_open", "list_item_open", "paragraph_open", "inline", "text", "code_inline", "paragraph_close",
    "list_item_close", "bullet_list_close",
}  # fmt: skip
PARSER = MarkdownIt("gfm-like", {"html": True, "linkify": False})


def tokens(text: str) -> Iterator[Token]:
    for token in PARSER.parse(text):
        yield token
        yield from token.children or ()


def nasty(chance: random.Random) -> str:
    return "".join(chance.choice(PIECES) for _ in range(chance.randint(0, 14)))


def test_any_text_is_code_and_nothing_else() -> None:
    chance = random.Random(7)
    for text in (nasty(chance) for _ in range(1_000)):
        line = f"- added {code(text)} → {code(text)}, {code('x')}\n"
        assert {token.type for token in tokens(line)} <= PLAIN, text


@pytest.mark.parametrize("seed", range(10))
def test_in_a_whole_comment_only_our_own_html_stands(seed: int) -> None:
    text = json.dumps(nasty(random.Random(seed)) or "x")
    head = tree(
        local_target("here", f"{{{text}: x}}"),
        f"kind: Job\nmetadata: {{name: j}}\nspec: {{targets: {{names: [here]}}, steps: [{{uses: {text}}}]}}\n",
        f"kind: RunRequest\nmetadata: {{name: ask}}\nspec: {{jobRef: j, params: {{{text}: 1}}}}\n",
    )
    for token in tokens(as_markdown(planned(tree(local_target("here")), head))):
        assert token.type not in ("link_open", "image")
        assert token.type != "heading_open" or token.tag == "h3"
        if token.type in ("html_block", "html_inline"):
            for line in token.content.strip().splitlines():
                assert line in (MARK, "</details>") or (line.startswith("<details") and line.endswith(")</summary>"))
