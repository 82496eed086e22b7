"""Markdown that people wrote as HTML that is safe to show: its marks act, nothing else does. Pure.

CommonMark with strikethrough. HTML in it is shown, not obeyed; links lead to http, https and mailto only and
tell nobody where they were clicked; images are not fetched, as that would tell who reads.
"""

from collections.abc import Sequence
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

_LEADS_TO: Final = ("http://", "https://", "mailto:")


class _Reader(MarkdownIt):
    """Leads nowhere else: not to file names either, which the library lets pass."""

    def validateLink(self, url: str) -> bool:  # noqa: N802  # the library's name
        return url.lower().startswith(_LEADS_TO)


def _link(renderer: RendererHTML, tokens: Sequence[Token], place: int, options: OptionsDict, env: EnvType) -> str:
    tokens[place].attrSet("rel", "nofollow noopener noreferrer")
    return renderer.renderToken(tokens, place, options, env)


_READER: Final = _Reader("commonmark", {"html": False}).enable("strikethrough").disable("image")
_READER.add_render_rule("link_open", _link)


def as_html(text: str) -> str:
    """The HTML of a Markdown text."""
    return str(_READER.render(text))
