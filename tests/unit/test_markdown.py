"""What others wrote is shown in a Markdown document and never acts there, says a parser of CommonMark and tables."""

from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tocsin.tickets.markdown import cut, fenced, inline, printable
from tocsin.tickets.markdown_html import as_html

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
acting = st.sampled_from(
    ["*", "_", "`", "```", "~~", "[", "](", ")", "!", "<b>", "</td>", "<!--", "&amp;", "&#0;", "|", "\\", "#", "- ",
     "+ ", "1. ", "12) ", "> ", "---", "===", "\n", "\n\n", "    ", "\t", "http://x", "www.x", "a@b.c", "a", "\u202e",
     "\x1b["]
)  # fmt: skip
texts = st.one_of(st.lists(acting, max_size=12).map("".join), st.text(max_size=40))


def leaves(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        if token.children:
            yield from leaves(token.children)
        else:
            yield token


def shown(document: str) -> tuple[list[str], str]:
    """The kinds of blocks a document holds, and the text in it; fails where a text became anything else."""
    tokens = PARSER.parse(document)
    said = [token for token in leaves(tokens) if token.content]
    assert {token.type for token in said} <= {"text"}, said
    return [token.type for token in tokens if token.nesting == 1], "".join(token.content for token in said)


@given(texts)
@example("1. **a** [b](http://c) <script>alert(1)</script>")
@example("12) x")
@example("-")
def test_a_text_in_a_line_an_item_or_a_cell_is_nothing_but_that_text(text: str) -> None:
    plain = printable(" ".join(text.split()))
    assert shown(f"- {inline(text)}x") == (["bullet_list_open", "list_item_open", "paragraph_open"], plain + "x")
    table, said = shown(f"| a | b |\n|---|---|\n| {inline(text)} | c |")
    assert (table.count("td_open"), said) == (2, f"ab{plain.strip()}c")


@given(st.lists(texts, max_size=6))
@example(["```", "</pre><script>", "~~~"])
def test_nothing_ends_a_block_but_its_own_end(lines: list[str]) -> None:
    tokens = PARSER.parse("\n".join(["before", *fenced(lines), "", "*after*"]))
    [block] = [token for token in tokens if token.type == "fence"]
    assert block.content == "".join(f"{printable(line)}\n" for line in lines)
    assert [token.type for token in tokens].count("em_open") == 0
    assert tokens[-2].content == "*after*"


@pytest.mark.parametrize(("text", "said"), [("abc", "abc"), ("abcd", "ab…")])
def test_what_is_too_long_is_cut(text: str, said: str) -> None:
    assert cut(text, 3) == said


class Seen(HTMLParser):
    """The tags of a document, with their attributes."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


SHOWN = {"p", "br", "em", "strong", "s", "code", "pre", "a", "ul", "ol", "li", "blockquote", "hr",
         "h1", "h2", "h3", "h4", "h5", "h6"}  # fmt: skip
urls = st.sampled_from(
    ["javascript:alert(1)", "JAVASCRIPT:x", "java\tscript:x", "&#106;avascript:x", "data:text/html,x", "vbscript:x",
     "//evil", "file:///etc", "https://a.b", "mailto:a@b.c", " https://a.b"]
)  # fmt: skip
written = st.one_of(texts, st.builds("[a]({})".format, urls), st.builds("<{}>".format, urls), urls,
                    st.builds("[x]: {}\n\n[x] ![x]".format, urls),
                    st.sampled_from(["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '<a href="x">',
                                     '```a" onload=x>\n', "[t](https://a.b '\" onclick=x')"]))  # fmt: skip


@given(st.lists(written, max_size=5).map(" ".join))
@example("**b** <script>alert(1)</script> [x](javascript:alert(1)) ![i](https://t.r)")
def test_as_html_a_text_has_its_marks_and_nothing_that_acts(text: str) -> None:
    for tag, attributes in Seen(as_html(text)).tags:
        assert tag in SHOWN
        assert attributes.keys() <= {"a": {"href", "title", "rel"}, "code": {"class"}, "ol": {"start"}}.get(tag, set())
        assert str(attributes.get("href", "https://")).lower().startswith(("https://", "http://", "mailto:"))


def test_links_and_marks_of_a_text_are_there_as_html() -> None:
    assert as_html("**b** [c](https://d.e)") == (
        '<p><strong>b</strong> <a href="https://d.e" rel="nofollow noopener noreferrer">c</a></p>\n'
    )
