"""Every rule has code that keeps it and a test that attacks it; nobody cites a rule that is not."""

from tests.support.source import code_citations, defined_rules, test_citations


def test_every_rule_is_kept_by_code() -> None:
    cited = {citation.rule for citation in code_citations()}

    assert sorted(set(defined_rules()) - cited) == []


def test_every_rule_is_tested() -> None:
    cited = {citation.rule for citation in test_citations()}

    assert sorted(set(defined_rules()) - cited) == []


def test_code_cites_only_rules_that_exist() -> None:
    rules = defined_rules()
    prefixes = {rule.partition("-")[0] for rule in rules}
    strays = [
        citation
        for citation in code_citations()
        if citation.rule not in rules and citation.rule.partition("-")[0] in prefixes
    ]

    assert strays == []
