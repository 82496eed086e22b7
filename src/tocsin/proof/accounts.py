"""Accounts of commits: opened with all that is recorded of them, then filled from the stored records."""

from collections.abc import Callable, Sequence

from tocsin.logs.service import LogReader
from tocsin.proof import store
from tocsin.proof.again import Matching, RulesThen
from tocsin.proof.books import Account
from tocsin.proof.facts import Entry
from tocsin.storage.database import Database
from tocsin.storage.tx import ReadTx

Commits = Callable[[ReadTx], Sequence[Entry]]


def accounts_of(database: Database, logs: LogReader, rules: RulesThen, commits: Commits) -> list[Account]:
    """The commits that a query finds, with their records matched again. Raises Vanished."""
    accounts = database.read(lambda tx: _opened(tx, rules, commits(tx)))
    accounts.sort(key=lambda one: one.entry.first_log_id)
    if accounts:
        _fill(accounts, logs, rules)
    return accounts


def _opened(tx: ReadTx, rules: RulesThen, entries: Sequence[Entry]) -> list[Account]:
    """Accounts with everything that is recorded of their commits, as of one moment."""
    accounts = {entry.event_id: Account(entry) for entry in entries}
    if not accounts:
        return []
    first_id = min(one.entry.first_log_id for one in accounts.values())
    last_id = max(one.entry.last_log_id for one in accounts.values())
    for verdict in store.verdicts_between(tx, first_id, last_id):
        if verdict.event_id in accounts:
            accounts[verdict.event_id].verdicts.append(verdict)
    for waiting in store.waiting_between(tx, first_id, last_id):
        if waiting.event_id in accounts:
            accounts[waiting.event_id].waiting.append(waiting)
    retries = store.retries_of(tx, min(accounts), max(accounts))
    for retry in retries:
        if retry.cause_id in accounts:
            accounts[retry.cause_id].retries.append(retry)
    for ruleset in {one.entry.ruleset for one in accounts.values()} | {
        retry.data["ruleset"] for retry in retries if retry.data.get("ruleset")
    }:
        if ruleset not in rules.at:
            rules.at[ruleset] = store.rules_at(tx, ruleset)
    return list(accounts.values())


def _fill(accounts: Sequence[Account], logs: LogReader, rules: RulesThen) -> None:
    matching = Matching(accounts, rules)
    for part in logs.arrived(accounts[0].entry.first_log_id, max(one.entry.last_log_id for one in accounts)):
        matching.enter(part)
    doubtful = [not one.fits and not one.troubled for one in accounts]
    if any(doubtful):
        in_doubt = [one for one, doubt in zip(accounts, doubtful, strict=True) if doubt]
        for one in in_doubt:
            one.begin_anew()
        last_id = max(one.entry.last_log_id for one in in_doubt)
        for part in logs.arrived(in_doubt[0].entry.first_log_id, last_id):
            matching.enter_again(part, doubtful)
