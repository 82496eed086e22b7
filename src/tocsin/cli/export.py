"""`tocsin export`: write what there is into a file."""

import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from tocsin.cli.apply import SECTIONS
from tocsin.cli.command import DEFAULT_URL, JsonOption, KeyFileOption, UrlOption, examples, make_app
from tocsin.cli.exits import WrongUsage
from tocsin.cli.output import print_json
from tocsin.cli.remote import Server
from tocsin.cli.yamlfile import write_yaml

HEAD: Final = (
    "# What this Tocsin has. Change it, see what that comes to (tocsin apply -f FILE --dry-run), and apply it.\n"
    "# What is left out of an entry has its default; a section that is left out is left alone.\n"
)

app = make_app(
    help="Write a file with the rules, silences and services there are.",
    epilog=examples("tocsin export -o tocsin.yaml", "tocsin export --section rules --section services"),
)


# A group, of which this is what it does by itself: other things can be exported as `tocsin export NAME`.
@app.callback(invoke_without_command=True)
def export(
    ctx: typer.Context,
    section: Annotated[
        list[str] | None,
        typer.Option("--section", metavar="NAME", help="Only rules, silences or services; several times."),
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Where to.", show_default="standard output")
    ] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a file with the rules, the silences that are not over, and the services there are, as `tocsin apply`
    takes it."""
    if ctx.invoked_subcommand is not None:
        return
    unknown = sorted(set(section or ()) - SECTIONS.keys())
    if unknown:
        raise WrongUsage(detail=f"--section {unknown[0]}: expected one of {', '.join(SECTIONS)}")
    with Server(url, key_file) as server:
        answer = server.get("/export", sections=",".join(section or SECTIONS))
    if as_json and output is None:
        print_json(answer.text)
        return
    text = answer.text + "\n" if as_json else HEAD + "\n" + write_yaml(answer.data)
    if output is None:
        sys.stdout.write(text)
        return
    Path(output).write_text(text)
    typer.echo(f"{output}: {_told(answer.data)}.")


def _told(sections: dict[str, Any]) -> str:
    return ", ".join(
        f"{len(entries)} {SECTIONS[name] if len(entries) == 1 else name}" for name, entries in sections.items()
    )
