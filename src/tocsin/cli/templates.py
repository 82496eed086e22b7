"""`tocsin templates`: what messages say; list, show, save, try and remove."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tocsin.cli.answers import print_page, tell
from tocsin.cli.command import (
    DEFAULT_URL,
    CursorOption,
    FileOption,
    ForceOption,
    JsonOption,
    KeyFileOption,
    LimitOption,
    UrlOption,
    UtcOption,
    examples,
    make_app,
)
from tocsin.cli.exits import FAILED
from tocsin.cli.given import json_object, savable
from tocsin.cli.output import print_fields, print_json, printable, when
from tocsin.cli.remote import Server
from tocsin.cli.saving import given, put

PARTS = ("title", "text", "html", "payload")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The template's name.")]
TitleOption = Annotated[str | None, typer.Option("--title", metavar="TEXT", help="The title: subject, first line.")]
TextOption = Annotated[str | None, typer.Option("--text-file", metavar="FILE", help="The text below it.")]
HtmlOption = Annotated[str | None, typer.Option("--html-file", metavar="FILE", help="The same for mails, as HTML.")]
PayloadOption = Annotated[
    str | None,
    typer.Option("--payload-file", metavar="FILE", help="What a webhook sends: JSON whose texts are templates."),
]

app = make_app(
    help="What messages say, as templates that a channel names.",
    epilog=examples(
        "tocsin templates preview --title '[{{ ticket.priority }}] {{ ticket.headline|line(80) }}'",
        "tocsin templates save short --file short.yaml",
        "tocsin templates preview short --ticket 7",
    ),
)


@app.command("list", epilog=examples("tocsin templates list"))
def list_templates(
    utc: UtcOption = False,
    limit: LimitOption = 100,
    cursor: CursorOption = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List templates by name."""
    with Server(url, key_file) as server:
        page = server.get("/templates", limit=limit, cursor=cursor)
    print_page(
        page,
        ["Name", "Says", "Changed", "By", "Description"],
        (
            [one["name"], _says(one), when(one["updated_at"], utc=utc), one["updated_by"], one["description"]]
            for one in page.data["items"]
        ),
        flexible=["Description"],
        empty="No templates: messages say what the default one does. tocsin templates save NAME --title TEXT",
        as_json=as_json,
    )


def _says(template: dict[str, Any]) -> str:
    return ", ".join(part for part in PARTS if template[part] is not None) or "nothing of its own"


@app.command(epilog=examples("tocsin templates show short", "tocsin templates show short --json > short.json"))
def show(
    name: NameArgument,
    utc: UtcOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one template as it is written. A part that is not shown is that of the default template."""
    with Server(url, key_file) as server:
        answer = server.get(f"/templates/{name}")
    if as_json:
        print_json(answer.text)
        return
    template = answer.data
    print_fields(
        [
            ("name", template["name"]),
            ("description", template["description"]),
            *((part, _text(template[part])) for part in PARTS),
            ("changed", f"{when(template['updated_at'], utc=utc)} by {template['updated_by']}"),
            ("version", str(template["version"])),
        ]
    )


def _text(part: Any) -> str | None:
    return part if part is None or isinstance(part, str) else json.dumps(part, indent=2, ensure_ascii=False)


@app.command(
    epilog=examples(
        "tocsin templates save short --file short.yaml",
        "tocsin templates save short --title '[{{ ticket.priority }}] {{ ticket.headline|line(80) }}'",
        "tocsin templates save mail --text-file mail.txt --html-file mail.html",
        "tocsin templates show short --json | tocsin templates save shorter --file -",
    )
)
def save(
    name: NameArgument,
    file: FileOption = None,
    title: TitleOption = None,
    text_file: TextOption = None,
    html_file: HtmlOption = None,
    payload_file: PayloadOption = None,
    description: Annotated[str | None, typer.Option("--description", "-d", help="What it is for.")] = None,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a template, or change the one of that name: what is not said stays as it is; a file says all of it.

    One that can't work is refused, with its line. A channel's messages are said by it once the channel names it:
    `tocsin channels save ... --template NAME`.
    """
    said = _parts(title, text_file, html_file, payload_file) | given(description=description)
    with Server(url, key_file) as server:
        _, answer = put(server, f"/templates/{name}", said, file=file)
    template = answer.data
    told = f"Template {name} (version {template['version']}): {_says(template)}."
    tell(answer, f"{told} Try it: tocsin templates preview {name}", as_json=as_json)


def _parts(title: str | None, text_file: str | None, html_file: str | None, payload_file: str | None) -> dict[str, Any]:
    """What is said of a template. Raises WrongUsage, OSError."""
    return given(
        title=title,
        text=None if text_file is None else Path(text_file).read_text(encoding="utf-8"),
        html=None if html_file is None else Path(html_file).read_text(encoding="utf-8"),
        payload=None if payload_file is None else json_object(payload_file),
    )


@app.command(
    epilog=examples(
        "tocsin templates preview --file short.yaml",
        "tocsin templates preview short --ticket 7 --kind resolved",
        "tocsin templates preview --title '{{ ticket.id }}: {{ ticket.headline }}'",
    )
)
def preview(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One that is saved.")] = None,
    file: FileOption = None,
    title: TitleOption = None,
    text_file: TextOption = None,
    html_file: HtmlOption = None,
    payload_file: PayloadOption = None,
    ticket_id: Annotated[
        int | None, typer.Option("--ticket", "-t", min=1, help="About this ticket.", show_default="one made up")
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", "-k", help="page, opened, resolved, updated, ...", show_default="page")
    ] = None,
    person: Annotated[str | None, typer.Option("--person", "-p", help="Who is told.", show_default="ana")] = None,
    with_html: Annotated[bool, typer.Option("--html", help="Show the HTML of mails as well.")] = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what a message would say; nothing is saved or sent. Ends with 1 where something is wrong with the template:
    it is told with its line, and what would be sent all the same."""
    body = {} if file is None else savable(json_object(file))
    body |= _parts(title, text_file, html_file, payload_file)
    body |= given(name=name, ticket_id=ticket_id, kind=kind, person=person)
    with Server(url, key_file) as server:
        answer = server.post("/templates/preview", body)
    found = answer.data
    if as_json:
        print_json(answer.text)
    else:
        print_fields([(part, _text(found[part])) for part in PARTS if part != "html" or with_html])
        for one in found["problems"]:
            typer.echo(f"tocsin: {printable(one['part'])}: {printable(one['detail'])}", err=True)
    if found["problems"]:
        raise typer.Exit(FAILED)


@app.command(epilog=examples("tocsin templates remove short", "tocsin templates remove short --force"))
def remove(
    name: NameArgument,
    force: ForceOption = False,
    url: UrlOption = DEFAULT_URL,
    key_file: KeyFileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a template that no channel names; by --force also one that is named: the default one speaks then."""
    with Server(url, key_file) as server:
        answer = server.remove(f"/templates/{name}", force=force)
    tell(answer, f"Template {name} is removed.", as_json=as_json)
