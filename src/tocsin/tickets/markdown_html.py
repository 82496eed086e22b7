"""Markdown that people wrote as HTML that is safe to show: its marks act, nothing else does. Pure.

CommonMark with strikethrough. HTML in it is shown, not obeyed; links lead to http, https and mailto only and
tell nobody where they were clicked; images are not fetched, as that would tell who reads.
"""

from typing import Final

from markdown_it import MarkdownIt

_LEADS_TO: Final = ("http://", "https://", "mailto:")


def _harmless(url: str) -> bool:
    return url.lower().startswith(_LEADS_TO)


def _made() -> MarkdownIt:
    reader = MarkdownIt("commonmark", {"html": False}).enable("strikethrough").disable("image")
    reader.validateLink = _harmless  # type: ignore[method-assign]  # what others allow, such as file names, too
    reader.add_render_rule("link_open", _link)
    return reader


def _link(renderer, tokens, place, options, env):  # type: ignore[no-untyped-def]  # as that library calls it
    tokens[place].attrSet("rel", "nofollow noopener noreferrer")
    return renderer.renderToken(tokens, place, options, env)


_READER: Final = _made()


def as_html(text: str) -> str:
    """The HTML of a Markdown text."""
    return _READER.render(text)  # type: ignore[no-any-return]
