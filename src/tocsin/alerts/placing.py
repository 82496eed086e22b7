"""Which alert records belong to whose own form has none open: that of their pattern, where its forms share one.

Forms that the miner found alike do once they are many, those that people say are alike do at once: see `gathers`. Rules
about new patterns are about patterns, so for these all forms of one share an alert.

Looking up locks nothing. Before an alert opens, its service's forms are held: of two transactions that open alerts of
one pattern, the second one sees the first one's.
"""

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tocsin.alerts import form_store, linking, pattern_store, store
from tocsin.alerts.detect import merge
from tocsin.alerts.form_store import Head, Known, Place
from tocsin.alerts.forms import MAX_FORMS, VALUES, Apart, Form, Forms, Memory, form_of, gathers, shown_apart
from tocsin.alerts.grouping import correlation_key_of, fingerprint_in
from tocsin.alerts.merging import MERGE, roots
from tocsin.alerts.pattern_store import Counted, digest_of
from tocsin.alerts.regexes import regex_of
from tocsin.alerts.rules import TEMPLATE
from tocsin.alerts.store import OpenEpisode
from tocsin.kit.events import Matched
from tocsin.storage.tx import ReadTx, Tx

MAX_EXAMPLE_CHARS: Final = 2_000
NOWHERE: Final[Place] = ("", 0)
_MEMORY: Final = "tocsin.forms"


@dataclass(frozen=True, slots=True)
class Placed:
    """A match and its pattern: the fingerprints and numbers of the forms that share an alert with it, and the template
    of the oldest. Where a pattern's forms share none, that is its own form, without a number if it wasn't taken up."""

    of: Matched
    pattern_id: int | None
    template: str
    fingerprints: tuple[str, ...]
    numbers: tuple[int, ...]

    @property
    def match(self) -> Matched:
        """The match with the fingerprint and the correlation key of the oldest form."""
        fingerprint = key = self.fingerprints[0]
        if self.of.key:
            named = _with(self.of.key, self.template)
            key = correlation_key_of([name for name, _ in named], [value for _, value in named])
        return replace(self.of, fingerprint=fingerprint, correlation_key=key, pattern_id=self.pattern_id)


@dataclass(frozen=True, slots=True)
class Placement:
    """By own fingerprints: the open alert of their pattern, or those that the alert to be opened is about; of the
    latter the first opens it."""

    counted: Mapping[str, OpenEpisode]
    opening: Mapping[str, Sequence[str]]
    matches: Sequence[Matched]


@dataclass(frozen=True, slots=True)
class _Group:
    """The forms of a service that are shown as one pattern, the oldest first."""

    forms: Sequence[Known]
    shares_alert: bool


def place(tx: Tx, matches: Sequence[Matched], heard: Collection[str]) -> Placement:
    """Where matches go whose own fingerprints have no open alert. `heard`: those with a record that nothing hides."""
    found = look_up(tx, matches)
    counted = _on_open(tx, found, heard)
    rest = [match for match in matches if match.fingerprint not in counted]
    if rest:
        found = learn(tx, rest)
        counted |= _on_open(tx, found, heard)
    opening: dict[str, list[str]] = {}
    firsts: dict[str, Matched] = {}
    for match in sorted(rest, key=lambda m: m.first_id):
        if match.fingerprint not in counted:
            opens = found[match.fingerprint].match if match.fingerprint in found else match
            firsts.setdefault(opens.fingerprint, opens)
            opening.setdefault(opens.fingerprint, []).append(match.fingerprint)
    return Placement(counted, opening, list(firsts.values()))


def settle(tx: Tx, matches: Sequence[Matched], heard: Collection[str]) -> list[Matched]:
    """Matches that are counted in windows, by what they are counted as: their own form while it has an open alert,
    else their pattern. They are placed by that. `heard` as in `place`."""
    mined = [match for match in matches if match.group]
    if not mined:
        return list(matches)
    own = store.hold_open(tx, {match.fingerprint for match in mined})
    found = look_up_or_learn(tx, [match for match in mined if match.fingerprint not in own])
    alert_of = open_of(tx, found, heard)
    settled = []
    for match in matches:
        one = found.get(match.fingerprint)
        if one is None:
            settled.append(match)
        elif match.fingerprint in alert_of:
            settled.append(replace(match, fingerprint=alert_of[match.fingerprint][0]))
        else:
            settled.append(one.match)
    return merge([replace(match, group=()) for match in settled])


def look_up_or_learn(tx: Tx, matches: Sequence[Matched]) -> dict[str, Placed]:
    """By own fingerprint; without what is beyond the bound."""
    found = look_up(tx, matches)
    settled = {own for own, one in found.items() if one.numbers}
    return found | learn(tx, [match for match in matches if match.fingerprint not in settled])


def fingerprints_of(match: Matched, placed: Mapping[str, Placed]) -> tuple[str, ...]:
    """Those of the forms that share an alert with it, or its own."""
    one = placed.get(match.fingerprint)
    return (match.fingerprint,) if one is None else one.fingerprints


def _on_open(tx: Tx, placed: Mapping[str, Placed], heard: Collection[str]) -> dict[str, OpenEpisode]:
    return {own: episode for own, (_, episode) in open_of(tx, placed, heard).items()}


def open_of(tx: Tx, placed: Mapping[str, Placed], heard: Collection[str]) -> dict[str, tuple[str, OpenEpisode]]:
    """The open alert of each one's pattern, the oldest form's first: its fingerprint and itself."""
    store.hold_silenced(tx, {fp for own, one in placed.items() if own in heard for fp in one.fingerprints})
    wanted = {fingerprint for one in placed.values() for fingerprint in one.fingerprints}
    open_now = store.hold_open(tx, wanted) if wanted else {}
    found: dict[str, tuple[str, OpenEpisode]] = {}
    for own, one in placed.items():
        first = next((fingerprint for fingerprint in one.fingerprints if fingerprint in open_now), None)
        if first is not None:
            found[own] = first, open_now[first]
    return found


def look_up(tx: ReadTx, matches: Iterable[Matched]) -> dict[str, Placed]:
    """Those of these matches whose patterns are known, by their own fingerprints."""
    mined = _mined(matches)
    heads = form_store.heads(tx, {match.service for match in mined}) if mined else {}
    if not heads:
        return {}
    return _known(tx, _forms(tx, heads), [match for match in mined if match.service in heads], _splits(tx))


def learn(tx: Tx, matches: Iterable[Matched]) -> dict[str, Placed]:
    """The same for all of them, but for what is beyond the bound. Holds the services."""
    mined = _mined(matches)
    if not mined:
        return {}
    forms = _forms(tx, form_store.hold_heads(tx, {match.service for match in mined}))
    splits = _splits(tx)
    _take_up(tx, forms, mined)
    found = _known(tx, forms, mined, splits)
    alone = [match for match in mined if match.fingerprint not in found]  # a split takes what had no form by itself
    return found | _known(tx, forms, alone, splits) if alone and _take_up(tx, forms, alone, enough=MAX_FORMS) else found


def _mined(matches: Iterable[Matched]) -> list[Matched]:
    return sorted((match for match in matches if match.group), key=lambda m: m.first_id)


def _form(match: Matched) -> Form:
    return form_of(dict(match.group)[TEMPLATE], match.message)


def _forms(tx: ReadTx, heads: Mapping[str, Head]) -> dict[str, Forms]:
    """The forms of services as the database has them; what this connection remembers may be of a transaction that came
    to nothing."""
    memory: Memory = tx.connection.info.setdefault(_MEMORY, Memory())
    found: dict[str, Forms] = {}
    for service, head in heads.items():
        forms = memory.take(service)
        if 0 < len(forms) < head.forms:
            forms.replay(form_store.read(tx, service, after=len(forms), upto=head.forms))
        found[service] = forms if forms.chain == head.chain else Forms()
    unknown = {service: head.forms for service, head in heads.items() if len(found[service]) < head.forms}
    for service, read in (form_store.read_all(tx, unknown) if unknown else {}).items():
        found[service].replay(read)
    for service, forms in found.items():
        memory.put(service, forms)
    return found


def _take_up(tx: Tx, of: Mapping[str, Forms], matches: Iterable[Matched], *, enough: int = VALUES) -> bool:
    """Learn from the forms of these matches, as far as there is room, and write it down."""
    new: dict[Place, Form] = {}
    pattern_of: dict[Place, str] = {}
    example: dict[str, Counted] = {}
    for match in matches:
        forms, form = of[match.service], _form(match)
        if len(forms) >= MAX_FORMS or not forms.teaches(form, enough=enough):
            continue
        lesson = forms.learn(form)
        new[match.service, lesson.number] = form
        pattern_of |= {(match.service, number): template for number, template in lesson.patterns.items()}
        example |= {template: _counted(template, match) for template in lesson.patterns.values()}
    if not new:
        return False
    ids = _pattern_ids(tx, [example[template] for template in set(pattern_of.values())])
    heads = {service: Head(len(of[service]), of[service].chain) for service, _ in new}
    form_store.add(tx, {place: (form, ids[pattern_of[place]]) for place, form in new.items()}, heads)
    form_store.point(tx, {place: ids[template] for place, template in pattern_of.items() if place not in new})
    return True


def _counted(template: str, match: Matched) -> Counted:
    example = match.message[:MAX_EXAMPLE_CHARS]
    return Counted(template, match.first_at, match.last_at, match.first_id, example)


def _pattern_ids(tx: Tx, wanted: Sequence[Counted]) -> dict[str, int]:
    """The patterns of these templates, by template; made, where there is none."""
    rows = pattern_store.by_digest(tx, {digest_of(one.template) for one in wanted})
    rows |= pattern_store.add_new(tx, [one for one in wanted if one.digest not in rows])
    return {one.template: rows[one.digest].id for one in wanted}


def _known(
    tx: ReadTx, of: Mapping[str, Forms], matches: Sequence[Matched], splits: Sequence[Apart]
) -> dict[str, Placed]:
    """By own fingerprint, those whose patterns are known."""
    place_of: dict[str, Place] = {}
    for match in matches:
        number = of[match.service].number_of(_form(match))
        if number is not None:
            place_of[match.fingerprint] = match.service, number
    shown_as = form_store.shown_as(tx, set(place_of.values()))
    pattern_of: dict[str, int] = {}
    for match in matches:
        shown = shown_as.get(place_of.get(match.fingerprint, NOWHERE))
        if shown is not None:
            pattern_of[match.fingerprint] = shown_apart(dict(match.group)[TEMPLATE], shown, splits)
    groups = _groups(tx, set(of), {*shown_as.values(), *pattern_of.values()}, splits)
    found: dict[str, Placed] = {}
    fingerprints: dict[Hashable, tuple[str, ...]] = {}  # most matches of a pattern have the same
    for match in matches:
        pattern = pattern_of.get(match.fingerprint, 0)
        group = groups.get((match.service, pattern))
        if group is None:
            continue
        if not group.shares_alert and not _is_about_patterns(match):
            found[match.fingerprint] = _alone(match, pattern, of[match.service].own_number_of(_form(match)))
            continue
        key = (match.rule, match.service, pattern, *_with(match.group, ""))
        if key not in fingerprints:
            fingerprints[key] = tuple(
                fingerprint_in(match.rule, _with(match.group, form.template)) for form in group.forms
            )
        numbers = tuple(form.number for form in group.forms)
        found[match.fingerprint] = Placed(match, pattern, group.forms[0].template, fingerprints[key], numbers)
    return found


def _is_about_patterns(match: Matched) -> bool:
    """Whether its rule tells of new patterns: another word in a place that varies is nothing new, however few there
    are."""
    return match.learn_s is not None


def _alone(match: Matched, pattern: int, number: int | None) -> Placed:
    numbers = () if number is None else (number,)
    return Placed(match, pattern, dict(match.group)[TEMPLATE], (match.fingerprint,), numbers)


def _groups(
    tx: ReadTx, services: Collection[str], canonical: Collection[int], splits: Sequence[Apart]
) -> dict[tuple[str, int], _Group]:
    """By service and pattern, the forms that are shown as that."""
    forms = form_store.of_patterns(tx, services, canonical)
    alike: dict[tuple[str, int], list[Known]] = {}
    for form in forms:
        alike.setdefault((form.service, shown_apart(form.template, form.shown_as, splits)), []).append(form)
    of_mined = Counter((form.service, form.mined) for form in forms)  # those that a split takes vary in the same place
    found: dict[tuple[str, int], _Group] = {}
    for (service, pattern), of in alike.items():
        mined = {form.mined: of_mined[service, form.mined] for form in of}
        if len(mined) > 1:
            mined = _without_merges(tx, pattern, mined)
        apart = any(form.shown_as != pattern for form in of)
        found[service, pattern] = _Group(of, gathers(mined, apart=apart))
    return found


def _without_merges(tx: ReadTx, pattern: int, mined: Mapping[int, int]) -> dict[int, int]:
    """How many forms the patterns would have if people had merged none: compaction's miner joins some as well."""
    _, changes = linking.connected(tx, pattern)
    root_of = roots(mined, [change for change in changes if change.kind != MERGE])
    found: dict[int, int] = {}
    for one, forms in mined.items():
        found[root_of[one]] = found.get(root_of[one], 0) + forms
    return found


def _with(pairs: Iterable[tuple[str, str]], template: str) -> list[tuple[str, str]]:
    return [(name, template if name == TEMPLATE else value) for name, value in pairs]


def _splits(tx: ReadTx) -> list[Apart]:
    """The splits that hold, the newest first: it is the most special."""
    splits = pattern_store.active_splits(tx)
    rows = pattern_store.by_id(tx, {one for split in splits for one in (split.pattern_id, split.into_id)})
    return [
        Apart(
            rows[split.into_id].shown_as,
            rows[split.pattern_id].shown_as,
            regex_of(rows[split.pattern_id].template, strict=False),
        )
        for split in reversed(splits)
    ]
