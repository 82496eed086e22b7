"""Templates that people write: a small, bounded part of Jinja2. Pure.

A template sees values and says something; it calls nothing, reads nothing and can't hang. What it may be made of is
decided when it is saved, from its syntax tree: no calls, macros, imports or includes, loops over given values or a
short `range` only. What it may use up is counted while it runs: each turn of a loop and each filter costs, every text
and number is bounded, and so is what is written in all.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from traceback import walk_tb
from typing import Any, Final

from jinja2 import ChainableUndefined, TemplateSyntaxError, Undefined, nodes
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from tocsin.notify import template_filters

MAX_SOURCE: Final = 20_000
MAX_NODES: Final = 4_000
MAX_DEPTH: Final = 40
MAX_OUTPUT: Final = 64_000
MAX_TEXT: Final = template_filters.MAX_TEXT
MAX_COST: Final = 50_000
MAX_RANGE: Final = 1_000
CPU_S: Final = 1.0
_LARGEST: Final = 10**15
_NAME: Final = "<template>"

_PLAIN: Final = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem,
    nodes.Slice, nodes.Filter, nodes.Test, nodes.If, nodes.For, nodes.Assign, nodes.CondExpr, nodes.Compare,
    nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Concat, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div,
    nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos, nodes.With, nodes.Keyword,
)  # fmt: skip
_WORDS: Final = {
    nodes.Call: "calls nothing; use a filter, such as {{ title|upper }}",
    nodes.Macro: "has no macros",
    nodes.CallBlock: "has no macros",
    nodes.Include: "includes nothing",
    nodes.Import: "imports nothing",
    nodes.FromImport: "imports nothing",
    nodes.Extends: "extends nothing",
    nodes.Block: "has no blocks",
    nodes.FilterBlock: "has no {% filter %}; filter a value",
    nodes.AssignBlock: "has no {% set %} of a block",
    nodes.Pow: "has no **",
    nodes.List: "has lists of constants only, such as in ['P1', 'P2']",
    nodes.Tuple: "has lists of constants only, such as in ['P1', 'P2']",
    nodes.Dict: "has no dictionaries",
}
_TESTS: Final = frozenset(
    {"defined", "undefined", "none", "string", "number", "mapping", "in", "odd", "even", "eq", "ne", "lt", "gt", "le",
     "ge", "equalto", "sameas", "boolean", "true", "false", "integer"}
)  # fmt: skip
_OF_LOOPS: Final = frozenset(
    {"index", "index0", "revindex", "first", "last", "length", "previtem", "nextitem", "depth"}
)


class TemplateWrong(Exception):
    """What is wrong with a template, and on which line, where that is known."""

    def __init__(self, detail: str, line: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.line = line

    def __str__(self) -> str:
        return self.detail if self.line is None else f"line {self.line}: {self.detail}"


@dataclass(slots=True)
class _Budget:
    """What one rendering may still use up."""

    left: int = MAX_COST
    until: float = field(default_factory=lambda: time.thread_time() + CPU_S)

    def take(self, cost: int) -> None:
        self.left -= cost
        if self.left < 0 or time.thread_time() > self.until:
            raise TemplateWrong("takes too long: too many turns of loops, or filters of texts that are too long")


_BUDGET: Final[ContextVar[_Budget | None]] = ContextVar("budget", default=None)


@contextmanager
def one_budget() -> Iterator[None]:
    """All that is rendered inside may use up together what one template may."""
    token = _BUDGET.set(_Budget())
    try:
        yield
    finally:
        _BUDGET.reset(token)


def _take(cost: int) -> None:
    budget = _BUDGET.get()
    assert budget is not None, "filters run within a rendering"
    budget.take(cost)


class _Missing(ChainableUndefined):
    """Something below a known name that isn't there: false, and a visible sign where it is printed. A ticket that
    lacks an attribute doesn't lose the message of somebody who asked for it."""

    def __str__(self) -> str:
        return f"[no {self._undefined_name}]"

    def __html__(self) -> str:
        return str(Markup.escape(str(self)))


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self, *, html: bool) -> None:
        super().__init__(
            autoescape=html, undefined=_Missing, finalize=_printed, optimized=False, keep_trailing_newline=False,
            trim_blocks=True, lstrip_blocks=True, cache_size=0,
        )  # fmt: skip
        self.globals.clear()
        self.filters = {name: _counting(made) for name, made in template_filters.FILTERS.items()}
        self.filters |= {"_each": _each, "_joined": _joined, "_range": _range}
        self.tests = {name: test for name, test in self.tests.items() if name in _TESTS}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Values of mappings, and what a loop knows of itself: no attribute of any object."""
        if isinstance(obj, Mapping):
            return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
        if isinstance(obj, LoopContext) and attribute in _OF_LOOPS:
            return getattr(obj, attribute)
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Mapping | list | tuple | str):
            try:
                return obj[argument]
            except (LookupError, TypeError, ValueError):
                pass
        return self.undefined(obj=obj, name=argument if isinstance(argument, str) else str(argument)[:40])

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            return _bounded(str(left) + str(right))
        if not (_is_number(left) and _is_number(right)):
            raise TemplateWrong(f"{operator} takes numbers here" + ("; join texts with ~" if operator == "+" else ""))
        found = super().call_binop(context, operator, left, right)
        if abs(found) > _LARGEST:
            raise TemplateWrong("a number is too large")
        return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) <= _LARGEST


def _printed(value: Any) -> Any:
    """What `{{ }}` writes: nothing for None; a list or a mapping as JSON, so that no object shows its insides."""
    if value is None:
        return ""
    if isinstance(value, str | int | float | Undefined):
        return value
    return template_filters.tojson(value)


def _bounded(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise TemplateWrong(f"a text is longer than {MAX_TEXT} characters")
    return text


def _counting(made: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that costs by the length of what it is given."""

    def filtered(value: Any, *args: Any, **named: Any) -> Any:
        given = template_filters.given(value)
        _take(1 + (len(given) // 256 if isinstance(given, str | list | tuple | dict) else 0))
        try:
            found = made(given if made not in template_filters.OF_MISSING else value, *args, **named)
        except (ValueError, TypeError, OverflowError) as error:
            raise TemplateWrong(f"the filter {made.__name__.rstrip('_')}: {error}") from error
        return _bounded(found) if isinstance(found, str) else found

    return filtered


def _each(value: Any) -> Iterator[Any]:
    """What a loop goes through; each turn costs."""
    if isinstance(value, Undefined) or value is None:
        return
    if not isinstance(value, Mapping | list | tuple | range):
        raise TemplateWrong("a loop goes through a list")
    for one in value:
        _take(5)
        yield one


def _joined(values: Iterable[Any]) -> str:
    parts: list[str] = []
    size = 0
    for value in values:
        parts.append(str(_printed(value)))
        size += len(parts[-1])
        _take(1)
        if size > MAX_TEXT:
            raise TemplateWrong(f"a text is longer than {MAX_TEXT} characters")
    return "".join(parts)


def _range(bounds: list[Any]) -> range:
    if not all(isinstance(bound, int) for bound in bounds) or not 1 <= len(bounds) <= 3:
        raise TemplateWrong("range takes one to three whole numbers")
    try:
        found = range(*bounds)
        size = len(found)
    except (ValueError, OverflowError) as error:
        raise TemplateWrong(f"range: {error}") from error
    if size > MAX_RANGE:
        raise TemplateWrong(f"range goes on for {size} turns; at most {MAX_RANGE}")
    return found


@lru_cache(maxsize=2)
def _environment(*, html: bool) -> _Environment:
    return _Environment(html=html)


class Compiled:
    """A template that may be rendered."""

    def __init__(self, source: str, *, known: Iterable[str], html: bool = False, as_value: bool = False) -> None:
        """`known` are the names it may use. `as_value`: one that is a single expression gives that value instead of a
        text. Raises TemplateWrong."""
        if len(source) > MAX_SOURCE:
            raise TemplateWrong(f"is longer than {MAX_SOURCE} characters")
        environment = _environment(html=html)
        try:
            tree = environment.parse(source, _NAME, _NAME)
            _check(tree, frozenset(known))
            tree = _guarded(tree)
            expression = _only_expression(tree) if as_value else None
            if expression is not None:
                target = nodes.Name("result", "store", lineno=1)
                tree = nodes.Template([nodes.Assign(target, expression, lineno=1)], lineno=1)
            tree.set_environment(environment)
            code = environment.compile(tree, _NAME, _NAME)
        except TemplateSyntaxError as error:
            raise TemplateWrong(error.message or "is no template", error.lineno) from error
        except (RecursionError, MemoryError, SyntaxError, ValueError, OverflowError) as error:
            raise TemplateWrong("is nested too deeply or holds a number that is too large") from error
        self._is_value = expression is not None
        self._template = environment.template_class.from_code(environment, code, {})

    def text(self, values: Mapping[str, Any]) -> str:
        """What it says of these values. Raises TemplateWrong."""
        if self._is_value:
            return str(self.value(values))
        parts, size = [], 0
        for part in self._run(lambda: self._template.generate(values)):
            size += len(part)
            if size > MAX_OUTPUT:
                raise TemplateWrong(f"says more than {MAX_OUTPUT} characters")
            parts.append(part)
        return "".join(parts)

    def value(self, values: Mapping[str, Any]) -> Any:
        """Its value as JSON has it. Raises TemplateWrong."""
        if not self._is_value:
            return self.text(values)
        [module] = self._run(lambda: iter([self._template.make_module(dict(values))]))
        found = module.result
        return None if isinstance(found, Undefined) else template_filters.plain(found)

    def _run(self, work: Callable[[], Iterator[Any]]) -> list[Any]:
        if _BUDGET.get() is None:
            with one_budget():
                return self._run(work)
        try:
            return list(_limited(work()))
        except TemplateWrong as error:
            raise TemplateWrong(error.detail, error.line or _line_of(error)) from error
        except (ArithmeticError, TypeError, ValueError, LookupError, AttributeError, RecursionError) as error:
            raise TemplateWrong(f"{error}" or type(error).__name__, _line_of(error)) from error


def _limited(parts: Iterator[Any]) -> Iterator[Any]:
    """The parts until there are too many: a loop that writes is stopped as it goes."""
    size = 0
    for part in parts:
        size += len(part) if isinstance(part, str) else 0
        yield part
        if size > MAX_OUTPUT:
            return


def _line_of(error: BaseException) -> int | None:
    """The template's line that an error was raised on."""
    lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename == _NAME]
    return lines[-1] if lines else None


def _check(tree: nodes.Template, known: frozenset[str]) -> None:
    """Raises TemplateWrong for what a template can't be made of, and for names that nothing has."""
    count = 0
    waiting: list[tuple[nodes.Node, int, frozenset[str]]] = [(tree, 0, known | _assigned(tree))]
    while waiting:
        node, depth, names = waiting.pop()
        count += 1
        if count > MAX_NODES or depth > MAX_DEPTH:
            raise TemplateWrong("is too large" if count > MAX_NODES else "is nested too deeply", node.lineno)
        _check_node(node, names)
        within = [] if _is_range(node) else list(node.iter_child_nodes())
        if _is_range(node):
            within = list(node.iter_child_nodes(only=("args",)))
        if not _is_constant_list(node):
            waiting += [(child, depth + 1, names) for child in within]


def _assigned(tree: nodes.Template) -> frozenset[str]:
    """Names that a template gives to values itself."""
    stored = {name.name for name in tree.find_all(nodes.Name) if name.ctx in {"store", "param"}}
    return frozenset(stored | ({"loop"} if tree.find(nodes.For) else set()))


def _check_node(node: nodes.Node, names: frozenset[str]) -> None:
    if _is_range(node) or _is_constant_list(node) or (isinstance(node, nodes.Tuple) and node.ctx == "store"):
        return
    if not isinstance(node, _PLAIN) or isinstance(node, nodes.Pow):
        words = next(
            (words for kind, words in _WORDS.items() if isinstance(node, kind)), f"has no {type(node).__name__}"
        )
        raise TemplateWrong(f"a template {words}", node.lineno)
    if isinstance(node, nodes.Name) and (node.name not in names or node.name.startswith("_")):
        raise TemplateWrong(f"{node.name!r} is not known; there are {', '.join(sorted(names))}", node.lineno)
    if isinstance(node, nodes.Filter) and node.name not in template_filters.FILTERS:
        there_are = ", ".join(sorted(template_filters.FILTERS))
        raise TemplateWrong(f"there is no filter {node.name!r}; there are {there_are}", node.lineno)
    if isinstance(node, nodes.Test) and node.name not in _TESTS:
        raise TemplateWrong(f"there is no test {node.name!r}", node.lineno)
    if isinstance(node, nodes.For) and node.recursive:
        raise TemplateWrong("a template has no recursive loops", node.lineno)
    if isinstance(node, nodes.Const) and isinstance(node.value, int | float) and abs(node.value) > _LARGEST:
        raise TemplateWrong("a number is too large", node.lineno)


def _is_range(node: nodes.Node) -> bool:
    named = isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == "range"
    return named and not (node.kwargs or node.dyn_args or node.dyn_kwargs)  # type: ignore[attr-defined]


def _is_constant_list(node: nodes.Node) -> bool:
    return isinstance(node, nodes.List) and all(isinstance(item, nodes.Const) for item in node.items)


def _guarded(tree: nodes.Template) -> nodes.Template:
    """The tree with a count at each place where it could go on and on."""
    for loop in list(tree.find_all(nodes.For)):
        loop.iter = _filtered("_each", _replaced(loop.iter), loop.lineno)
    for node in list(tree.find_all(nodes.Node)):
        for name, value in list(node.iter_fields()):
            if isinstance(value, nodes.Node):
                setattr(node, name, _replaced(value))
            elif isinstance(value, list):
                setattr(node, name, [_replaced(one) if isinstance(one, nodes.Node) else one for one in value])
    return tree


def _replaced(node: nodes.Node) -> Any:
    if isinstance(node, nodes.Concat):
        return _filtered("_joined", nodes.List([_replaced(one) for one in node.nodes], lineno=node.lineno), node.lineno)
    if isinstance(node, nodes.Call):
        return _filtered("_range", nodes.List([_replaced(one) for one in node.args], lineno=node.lineno), node.lineno)
    return node


def _filtered(name: str, value: nodes.Node, line: int) -> nodes.Filter:
    return nodes.Filter(value, name, [], [], None, None, lineno=line)


def _only_expression(tree: nodes.Template) -> nodes.Expr | None:
    """The expression of a template that is nothing but `{{ ... }}`."""
    if len(tree.body) == 1 and isinstance(tree.body[0], nodes.Output) and len(tree.body[0].nodes) == 1:
        [found] = tree.body[0].nodes
        return None if isinstance(found, nodes.TemplateData) else found
    return None
