"""Grammatical scripts for sh and bash, made by chance, with values in them."""

import random

from engine.scripts.binding import Bound, bind
from schemas.job import Shell

HOLE = "${{ e }}"


def bindable(script: str, shell: Shell) -> Bound | None:
    """The script, where some places are refused without those, or None when nothing is left to try."""
    bound = bind(script, shell)
    if isinstance(bound, tuple):
        for error in sorted(bound, key=lambda one: -one.offset):
            script = f"{script[: error.offset]}R{script[error.offset + error.length :]}"
        bound = bind(script, shell)
    return bound if isinstance(bound, Bound) and bound.holes else None


class Scripts:
    """Grammatical scripts by chance: quoting, substitutions, here-documents and compound commands within each other."""

    def __init__(self, chance: random.Random, shell: Shell) -> None:
        self.chance = chance
        self.bash = shell == "bash"
        self.bodies: list[str] = []
        self.count = 0

    def script(self) -> str:
        return self.listing(2) + self.newline()

    def one(self, *options: str) -> str:
        return self.chance.choice(options)

    def some(self, most: int) -> range:
        return range(self.chance.randint(0, most))

    def newline(self) -> str:
        bodies, self.bodies = self.bodies, []
        return "\n" + "".join(bodies)

    def literal(self) -> str:
        return self.one("a", "foo", "--x=", "b-c", ".", "1", "%s", "a#b", "in", "~", "?", "{a,b}", "[a]", "é", "=")

    def expansion(self, depth: int, *, quoted: bool) -> str:
        kind = self.chance.randint(0, 5)
        if kind == 0 and depth:
            outer, self.bodies = self.bodies, []
            inner = self.listing(depth - 1)
            inner += self.newline() if self.bodies else ""
            self.bodies = outer
            return f"$({inner})"
        if kind == 1:
            return self.one("${x}", "${#x}", "${x#a}", "${x%%.*}", "${x:-a}", "$#", "$?", "$$")
        if kind == 2:
            return self.one("$((1+2))", "`echo a`")
        if kind == 3 and not quoted and self.bash:
            return self.one("$'a\\'b'", "$'x'")
        return "$x"

    def double(self, depth: int) -> str:
        odd = (" ", "'", '\\"', "\\\\", "#", ";", "(", ")", "|", "&", "\\$")
        parts = [self.one(self.literal(), HOLE, HOLE, self.expansion(depth, quoted=True), *odd) for _ in self.some(3)]
        return f'"{"".join(parts)}"'

    def word(self, depth: int) -> str:
        single = self.one("a b", "$x", '"', "#", "\\", "`", "$(", ")")
        escaped = self.one("\\ ", '\\"', "\\'", "\\$", "\\#", "\\;", "\\\n")
        parts = [
            self.one(HOLE, HOLE, HOLE, self.literal(), self.double(depth), self.expansion(depth, quoted=False),
                     f"'{single}'", escaped)
            for _ in range(self.chance.randint(1, 3))
        ]  # fmt: skip
        return "".join(parts)

    def simple(self, depth: int) -> str:
        if self.chance.random() < 0.2:
            return self.variable(depth)
        words = [f"v={self.word(depth)}"] if self.chance.random() < 0.2 else []
        words.append(
            self.one(
                "echo", "printf '%s\\n'", "test -n", "true", "cat -- /dev/null", "export", "grep -c", "tr a", "env",
                "command echo", "timeout 3 echo", "nice echo", "set --", "dirname", "xargs echo", "awk '{print}' -",
                "sort", "read", "eval", "sh -c", "bash", "sed", "printf -v", "$x", "unset",
            )
        )  # fmt: skip
        words += [self.word(depth) for _ in self.some(3)]
        kind = self.chance.randint(0, 9)
        if kind == 0:
            words.append(f"> {self.one('/dev/null', '/dev/null', 'out')}")
        elif kind == 1:
            words.append(self.here_document())
        elif kind == 2 and self.bash:
            words.append(self.one(f"<<< {self.word(depth)}", f"<(echo {self.word(depth)})"))
        return " ".join(words)

    def variable(self, depth: int) -> str:
        """What sets a variable, what lets one flow into another, and what computes with one."""
        v, m = self.one("v", "m", "k"), self.one("v", "m", "k")
        of_both = (
            f"{v}={self.word(depth)}", f"{v}={HOLE}", f"{v}=${m}", f'{v}="a ${m}"', f"export {v}={HOLE}",
            f"{v}=$(echo ${m})",
            f"set -- ${m}", f"set -- {HOLE}", f"{v}=$1", f"for {v} in {HOLE} ${m}; do : ${v}; done", f"echo $(({v}))",
            f"echo $(( ${v} + 1 ))", "echo $((1 + $1))", f"echo {HOLE} | read -r {v}", f"{v}=1", f"unset {v}",
        )  # fmt: skip
        of_bash = (
            f"(({v} > 1))", f"[[ ${v} -gt 1 ]]", f"echo ${{x:${v}:1}}", f"echo ${{a[{v}]}}", f"a[{v}]=1", f"let {v}=1",
            f"declare -i {v}", f"{v}+={HOLE}", f"echo ${{!{v}}}", f"read -r {v} <<< {HOLE}", f"read -r {v} <<< ${m}",
            f'test -v "${v}"', f'unset "a[${v}]"', f"printf -v {v} %s ${m}", f"declare {v}={HOLE}", f"echo ${{@:{v}}}",
        )  # fmt: skip
        return self.one(*of_both, *(of_bash if self.bash else ()))

    def here_document(self) -> str:
        self.count += 1
        mark = f"E{self.count}"
        tabs = self.one("", "", "-")
        pieces = ("$x", "${x}", "'", '"', "\\\\", "\\$", "#", " ", "(", ")", "$((1+1))", "`echo b`", "$(echo c)")
        lines = ["".join(self.one(self.literal(), HOLE, HOLE, *pieces) for _ in self.some(4)) for _ in self.some(4)]
        quoted = self.one(mark, mark, mark, f"'{mark}'", f"\\{mark}")
        self.bodies.append("".join(f"{line}\n" for line in (*lines, mark)))
        return f"<<{tabs}{quoted}"

    def command(self, depth: int) -> str:
        kind = self.chance.randint(0, 12) if depth else 0
        below = depth - 1
        if kind == 5:
            return f"if {self.command(below)}{self.newline()}then {self.listing(below)}{self.newline()}fi"
        if kind == 6:
            return f"for i in {self.word(below)} b; do {self.listing(below)}{self.newline()}done"
        if kind == 7:
            first = f"case {self.word(below)} in a) {self.listing(below)}{self.newline()};; "
            return f"{first}{self.one('(', '')}{self.word(below)}|z) {self.command(below)}{self.newline()}esac"
        if kind == 8:
            return f"( {self.listing(below)}{self.newline()})"
        if kind == 9:
            return f"{{ {self.listing(below)}{self.newline()}}}"
        if kind == 10:
            self.count += 1
            name = f"f{self.count}"
            return f"{name}() {{ {self.listing(below)}{self.newline()}}}; {name} {self.word(below)}"
        if kind == 11 and self.bash:
            more = self.one("", f" == {self.word(below)}", " =~ ^(a|b)$", f" -eq {self.word(below)}")
            return f"[[ {self.one('-n ', '') if not more else ''}{self.word(below)}{more} ]]"
        if kind == 12 and self.bash:
            return f"a{self.one('=', '+=')}({self.word(below)} {self.word(below)})"
        return self.simple(depth)

    def listing(self, depth: int) -> str:
        text = self.command(depth)
        for _ in self.some(2):
            text += self.one("; ", " && ", " || ", " | ", self.newline(), self.newline()) + self.command(depth)
        return text
