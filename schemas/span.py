"""Where in a file something stands."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A range in a text file: 1-based lines and columns, columns count code points, the end is exclusive."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int

    def within(self, file: str) -> "Span":
        """The same range in another file: parsed files are cached by content and may move."""
        return replace(self, file=file)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


def start_of(file: str) -> Span:
    """The first character of a file, for findings about the file as a whole."""
    return Span(file, 1, 1, 1, 1)
