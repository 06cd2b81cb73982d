"""The one way to talk beside the data, and what may reach a terminal."""

import typer


def chatter(text: str) -> None:
    """A line for the person at the terminal; never data. What came from a target cannot move the cursor."""
    typer.echo(printable(text), err=True)


def printable(text: str) -> str:
    """The text with every control character but line ends and tabs made visible."""
    return "".join(char if char in "\n\t" or char.isprintable() else "·" for char in text)
