"""Rules in the simple format of the requirement documents, as drafts."""

from __future__ import annotations

from alerts.exchange.drafts import UNSAID_OF_GROUP, Drafts, GroupDraft, RuleDraft
from alerts.rulefiles.document import Document
from alerts.rules.simple import SimpleRuleError, parse_rules, to_promql

UNSAID = frozenset({"for_seconds", "keep_firing_seconds", "annotations"})


def read(document: Document, text: str, group: str) -> Drafts:
    """The rules of a file, which go into one group."""
    found = Drafts("simple")
    try:
        rules = parse_rules(text)
    except SimpleRuleError as error:
        found.problems.append(document.problem((), str(error)))
        return found
    found.groups.append(GroupDraft(group, unsaid=UNSAID_OF_GROUP))
    for rule in rules:
        became = to_promql(rule)
        found.rules.append(
            RuleDraft(
                group=group,
                name=rule.name,
                expr=became.expr,
                threshold=became.threshold,
                labels={"severity": rule.severity},
                channel_kinds=rule.notification,
                unsaid=UNSAID,
            )
        )
    return found
