"""The forms of a service's matched messages in the order they taught its miner: replayed, they group alike everywhere.

A form is a message with its variable parts masked, what a fingerprint is made of. The miner finds that several forms
are one pattern. It is a function of the list of forms and nothing else, so every process that has read the list gives
the same answers, and a process that has read a part reads on.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tocsin.alerts.mining import Miner
from tocsin.alerts.regexes import matches
from tocsin.alerts.skeletons import head_of

MAX_FORMS: Final = 2_000  # of a service; replaying them takes 0.1 s
VALUES: Final = 100  # words in one place that are values, and not things that can be wrong
MAX_REMEMBERED: Final = 8_000  # of all services that a connection knows
_SERVICE_ITSELF: Final = 4  # a service without any takes up as much memory as so many forms
_WITHOUT_DIGITS: Final = str.maketrans("123456789", "000000000")


class Form(NamedTuple):
    """A masked message, and the text that the miner learned it from: the first such message, its digits made alike."""

    template: str
    text: str


class Lesson(NamedTuple):
    """A form's number, and by number the pattern of every form whose pattern may be another one now."""

    number: int
    patterns: dict[int, str]


class Apart(NamedTuple):
    """A split by hand: what is shown as `source` and matches is shown as `target`."""

    source: int
    target: int
    regex: str


def shown_apart(template: str, shown_as: int, splits: Iterable[Apart]) -> int:
    """The pattern that a form is shown as, by the newest split that takes it, or without any."""
    for split in splits:
        if split.source == shown_as and matches(split.regex, template):
            return split.target
    return shown_as


def gathers(mined: Mapping[int, int], *, apart: bool = False) -> bool:
    """Whether forms of a service that are shown as one pattern share an alert. `mined` says how many forms each pattern
    has that the miner made of them; `apart`: a split by hand is what shows them as one.

    The miner takes a word for variable after five or six others in its place. That is right for counting, and too eager
    for alerts: these may be the names of fifty things that can be wrong (components, disks, shops), and the next one
    would be hidden in a ticket that is open. No service has so many things as VALUES that are wrong in the same words:
    those are users, hosts, files. People know: what they merged (several mined patterns) or gave a template of its own
    is alike at once.
    """
    return apart or len(mined) > 1 or max(mined.values(), default=0) >= VALUES


def form_of(template: str, message: str) -> Form:
    return Form(template, head_of(message).translate(_WITHOUT_DIGITS))


@dataclass(slots=True)
class Forms:
    """What a service's miner knows; forms are numbered from 1. `chain` names the whole list."""

    chain: str = ""
    _miner: Miner = field(default_factory=Miner)
    _numbers: dict[str, int] = field(default_factory=dict)
    _alike: dict[int, list[int]] = field(default_factory=dict)  # the forms of each group of the miner
    _merges: int = 0

    def __len__(self) -> int:
        return len(self._numbers)

    def number_of(self, form: Form) -> int | None:
        """The form itself, or one of the same pattern; None for a form that has something to teach."""
        number = self._numbers.get(form.template)
        if number is not None:
            return number
        group = self._miner.known_group_of(form.text)
        return self._alike[group][0] if group in self._alike else None

    def own_number_of(self, form: Form) -> int | None:
        """The form itself; None for one that was not taken up."""
        return self._numbers.get(form.template)

    def teaches(self, form: Form, *, enough: int = VALUES) -> bool:
        """Whether to take up a form: each one that is not there yet, until so many are alike that they share alerts."""
        if form.template in self._numbers:
            return False
        group = self._miner.known_group_of(form.text)
        return group is None or len(self._alike.get(group, ())) < enough

    def learn(self, form: Form) -> Lesson:
        """Take up a form that isn't there yet."""
        group = self._miner.group_of(form.text)
        number = self._numbers[form.template] = len(self._numbers) + 1
        self.chain = hashlib.sha256("\0".join((self.chain, *form)).encode()).hexdigest()[:32]
        regrouped = self._follow_merges()
        root = self._miner.find(group)
        self._alike.setdefault(root, []).append(number)
        patterns = {one: self._miner.template(at) for at in regrouped for one in self._alike[at]}
        return Lesson(number, patterns | {number: self._miner.template(root)})

    def alike(self, number: int) -> Sequence[int]:
        """All forms of the pattern that a form has now, the oldest first."""
        return next(forms for forms in self._alike.values() if number in forms)

    def _follow_merges(self) -> set[int]:
        """Put the forms of merged groups together; the groups that got some."""
        merges = self._miner.merges(self._merges)
        self._merges += len(merges)
        grown: set[int] = set()
        for merge in merges:
            forms = self._alike.pop(merge.old, None)
            if forms is not None:
                root = self._miner.find(merge.new)
                self._alike[root] = sorted(self._alike.get(root, []) + forms)
                grown.add(root)
        return grown

    def replay(self, forms: Iterable[Form]) -> None:
        for form in forms:
            self.learn(form)


@dataclass(slots=True)
class Memory:
    """The forms of the services that were asked for last."""

    _services: OrderedDict[str, Forms] = field(default_factory=OrderedDict)
    _forms: int = 0

    def take(self, service: str) -> Forms:
        """What is remembered, which may be nothing; it is forgotten until it is put back."""
        found = self._services.pop(service, None)
        if found is None:
            return Forms()
        self._forms -= len(found) + _SERVICE_ITSELF
        return found

    def put(self, service: str, forms: Forms) -> None:
        self._services[service] = forms
        self._forms += len(forms) + _SERVICE_ITSELF
        while len(self._services) > 1 and self._forms > MAX_REMEMBERED:
            _, forgotten = self._services.popitem(last=False)
            self._forms -= len(forgotten) + _SERVICE_ITSELF
