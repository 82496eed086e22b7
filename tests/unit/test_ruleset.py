"""The index of rules leaves out no record that a rule matches, and a rule that raises spoils nothing for the others."""

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from desk import START, decode_records
from tocsin.alerts.conditions import condition_of
from tocsin.alerts.detect import detect
from tocsin.alerts.rules import SEED_RULE, Kind, Rule, rule_of
from tocsin.alerts.ruleset import Row, RuleSet
from tocsin.kit.clock import to_us
from tocsin.logs.record import Columns

CONDITIONS = [
    "level:CRITICAL", "level:>=ERROR", "level:[INFO TO WARNING]", "severity_number:>17", "*", "-level:INFO",
    "service:pay", "service:PAY level:>=ERROR lost", "service:(pay OR shop) disk", "service:p*", "-service:pay",
    "disk", "message:disk", '"disk full"', 'message:"k f"', "disk OR lost", "disk AND lost", "-disk lost", "di*",
    "message:*sk*", "message:/los[t]/", "größe", '"GRÖSSE x"', "@region:eu", "@region:eu-*", "@n:5", "@n:>4", "eu",
    "@a.b:deep", "_exists_:@region", "@path:C*", '"C:\\\\temp"', "abc123", "trace_id:abc123", "source:agent",
    '"say \\"hi"', '"a\\tb"', "kelvin", "true", "@ok:true", "@weird:x", "full disk lost", "disklost",
]  # fmt: skip
RULES = [Rule(name=f"r{number}", version=1, condition=text) for number, text in enumerate(CONDITIONS)]
TEXTS = st.sampled_from(
    ["disk", "Disk Full", "lost", "the disk is lost", "größe x", "GRÖSSE X", "eu", "", "disk\nlost", "C:\\temp",
     'say "hi',
     "a\tb", "\u212aelvin", "kelvin", "abc123", "di", "full disklost", "x\u2028y disk"]
)  # fmt: skip
VALUES = st.recursive(
    TEXTS | st.sampled_from(["eu-west", 5, 5.0, 6, None, True, "C:\\x", "deep", "x"]),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(st.sampled_from(["b", "region", 'q"x']), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
RECORDS = st.lists(
    st.fixed_dictionaries(
        {"level": st.sampled_from(["INFO", "WARN", "ERROR", "CRIT", "FATAL"]), "message": TEXTS},
        optional={
            "service": st.sampled_from(["pay", "Pay", "shop", "größe"]),
            "attributes": st.dictionaries(
                st.sampled_from(["region", "n", "a", "path", "ok", "we\u0131rd", "disk", "weird"]), VALUES, max_size=3
            ),
            "trace_id": st.sampled_from(["abc123", "disk"]),
            "source": st.sampled_from(["agent", "disk"]),
        },
    ),
    min_size=1,
    max_size=8,
)


def columns_of(records: list[dict[str, object]]) -> Columns:
    batch = decode_records(records, arrived=START)
    assert not batch.rejected
    return batch.columns


@given(RECORDS)
@example([{"level": "ERROR", "message": "x", "attributes": {"region": "di\\sk disk"}}])
def test_the_index_finds_what_asking_every_rule_about_every_record_finds(records: list[dict[str, object]]) -> None:
    columns = columns_of(records)
    everyone = [Rule(**{**_fields(rule), "group_by": ()}) for rule in RULES]
    found = detect(columns, RuleSet(1, everyone), first_id=1, backfill=False)

    expected = {}
    for rule in RULES:
        holds = condition_of(rule).holds
        hits = [row for row in range(len(columns)) if holds(Row(columns, row))]
        if hits:
            expected[rule.condition] = (len(hits), 1 + hits[0], 1 + hits[-1])
    conditions = {rule.name: rule.condition for rule in RULES}
    assert {conditions[m.rule]: (m.n, m.first_id, m.last_id) for m in found.matches} == expected
    assert found.undecided == []


def _fields(rule: Rule) -> dict[str, object]:
    return {name: getattr(rule, name) for name in Rule.__dataclass_fields__}


@pytest.mark.parametrize(
    ("condition", "severities", "services", "texts"),
    [
        ("level:CRITICAL", range(18, 25), None, None),
        ("level:>=ERROR service:Pay timeout", range(17, 25), {"pay"}, {b"timeout"}),
        ("service:a OR service:b", range(25), {"a", "b"}, None),
        ("level:ERROR OR level:INFO", [9, 10, 11, 12, 17], None, None),
        ('"timed out" -"disk full"', range(25), None, {b"timed out"}),
        ("one OR three", range(25), None, {b"one", b"three"}),
        ("one OR -three", range(25), None, None),
        ("@duration:>5", range(25), None, {b"duration"}),
        ("@duration:>5 message:slow", range(25), None, {b"slow"}),
        ("message:/slow/", range(25), None, None),
    ],
)
def test_what_is_certain_of_a_condition(condition, severities, services, texts):
    found = condition_of(Rule(name="r", version=1, condition=condition))
    assert found.severities == set(severities)
    assert found.services == services
    assert (None if found.literals is None else found.literals.texts) == texts


def test_a_rule_that_raises_is_told_of_and_the_others_go_on() -> None:
    broken = Rule(name="broken", version=4, condition="level:")
    columns = columns_of([{"level": "FATAL", "message": "disk"}, {"level": "INFO", "message": "fine"}])
    found = detect(columns, RuleSet(1, [broken, SEED_RULE]), first_id=10, backfill=False)

    assert [match.rule for match in found.matches] == ["critical-logs"]
    [undecided] = found.undecided
    assert (undecided.rule, undecided.rule_version, undecided.first_id, undecided.last_id) == ("broken", 4, 10, 11)
    assert "QueryError" in undecided.reason


def test_a_rule_is_the_same_after_it_was_stored() -> None:
    rule = Rule(
        name="r", version=3, condition="disk", kind=Kind.THRESHOLD, threshold=5, window_s=60, labels=(("a", "b"),),
        group_by=("@host",), correlate_by=("rule",),
    )  # fmt: skip
    stored = msgspec.json.decode(msgspec.json.encode(rule.definition()))
    assert rule_of("r", 3, stored) == rule


def test_a_counting_rule_hands_on_the_id_and_time_of_each_record() -> None:
    rule = Rule(name="r", version=1, condition="disk", kind=Kind.THRESHOLD, threshold=5, window_s=60)
    columns = columns_of([{"level": "INFO", "message": text} for text in ("disk", "fine", "disk")])
    [match] = detect(columns, RuleSet(1, [rule]), first_id=7, backfill=False).matches
    assert match.records == ((7, to_us(START)), (9, to_us(START)))


def test_a_service_never_met_before_is_forgotten_again() -> None:
    """A million services make no memory grow without end: what is known of them begins anew."""
    ruleset = RuleSet(1, [SEED_RULE])
    for number in range(70_000):
        ruleset.work(Columns([START], b"\x15", b"\x15", [f"s{number}"], [""], [b"{}"]))
    assert sum(map(len, ruleset._parts)) <= 65_536
