"""Parse a filter's text into a tree, by recursive descent."""

from __future__ import annotations

from typing import NoReturn, cast

from isoglot.search.filters.tokens import FilterError, Token, tokens
from isoglot.search.filters.tree import Among, And, Compare, Filter, Like, Missing, Not, Operator, Or, Value
from isoglot.search.filters.values import to_date

DEEPEST = 40  # nested brackets and NOTs
MOST = 200  # conditions


def parse_filter(text: str) -> Filter:
    """Parse a filter.

    NOT binds tighter than AND, AND tighter than OR. A condition is a name, then `=`, `!=`, `<`, `<=`, `>`, `>=` and a
    value; `IN` or `NOT IN` and values in brackets; `LIKE` or `NOT LIKE` and a text; `IS NULL` or `IS NOT NULL`. Values
    are texts in single quotes, numbers, dates (2024-05-01, 2024-05-01T12:00Z), true and false.

    Raises:
        FilterError: it cannot be parsed; the message says where.

    >>> parse_filter("year >= 2020 AND NOT lang = 'de'")
    And(parts=(Compare(field='year', operator='>=', value=2020.0, at=1), \
Not(inner=Compare(field='lang', operator='=', value='de', at=22))))
    """
    reader = _Reader(tokens(text))
    if reader.next().kind == "end":
        raise FilterError("where: the filter is empty; expected a condition such as year >= 2020; leave it out for all")
    tree = reader.any_of()
    if reader.next().kind != "end":
        reader.refuse("expected AND, OR, or the end")
    return tree


class _Reader:
    def __init__(self, found: list[Token]) -> None:
        self._tokens, self._place = found, 0
        self._depth = self._conditions = 0

    def next(self) -> Token:
        return self._tokens[self._place]

    def take(self) -> Token:
        token = self.next()
        self._place += 1
        return token

    def takes(self, kind: str, *values: str) -> bool:
        """Take the next token if it is one of these."""
        if self.next().kind != kind or self.next().value not in values:
            return False
        self._place += 1
        return True

    def refuse(self, expected: str) -> NoReturn:
        token = self.next()
        seen = "the filter ends here" if token.kind == "end" else f"{token.value[:40]!r}"
        raise FilterError(f"where: character {token.at}: {seen}; {expected}")

    def any_of(self) -> Filter:
        parts = [self.all_of()]
        while self.takes("word", "OR"):
            parts.append(self.all_of())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def all_of(self) -> Filter:
        parts = [self.negation()]
        while self.takes("word", "AND"):
            parts.append(self.negation())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def negation(self) -> Filter:
        if self._depth > DEEPEST:
            self.refuse(f"more than {DEEPEST} nested brackets and NOTs; expected fewer levels")
        self._depth += 1
        found: Filter
        if self.takes("word", "NOT"):
            found = Not(self.negation())
        elif self.takes("sign", "("):
            found = self.any_of()
            if not self.takes("sign", ")"):
                self.refuse("expected AND, OR, or a closing bracket")
        else:
            found = self.condition()
        self._depth -= 1
        return found

    def condition(self) -> Filter:
        self._conditions += 1
        if self._conditions > MOST:
            self.refuse(f"more than {MOST} conditions; use IN for many values of one field")
        if self.next().kind != "name":
            self.refuse(
                'expected the name of a field (in double quotes if it has spaces: "my field"), NOT or a bracket'
            )
        name, at = self.next().value, self.take().at
        if self.takes("word", "IS"):
            negated = self.takes("word", "NOT")
            if not self.takes("word", "NULL"):
                self.refuse("expected NULL or NOT NULL after IS")
            return Not(Missing(name, at)) if negated else Missing(name, at)
        negated = self.takes("word", "NOT")
        if self.takes("word", "IN"):
            among = Among(name, self.values(), at)
            return Not(among) if negated else among
        if self.takes("word", "LIKE"):
            if self.next().kind != "text":
                self.refuse("expected a text in single quotes after LIKE, such as 'docs/%'")
            like = Like(name, self.take().value, at)
            return Not(like) if negated else like
        if negated:
            self.refuse("expected IN or LIKE after NOT")
        if self.next().kind != "sign" or self.next().value in {"(", ")", ","}:
            self.refuse(f"expected one of = != < <= > >= IN LIKE IS after the field {name[:40]!r}")
        sign = self.take().value
        value = self.value()
        if sign in {"!=", "<>"}:
            return Not(Compare(name, "=", value, at))
        return Compare(name, cast("Operator", sign), value, at)

    def values(self) -> tuple[Value, ...]:
        if not self.takes("sign", "("):
            self.refuse("expected values in brackets after IN, such as ('a', 'b')")
        found = [self.value()]
        while self.takes("sign", ","):
            found.append(self.value())
        if not self.takes("sign", ")"):
            self.refuse("expected a comma or a closing bracket")
        return tuple(found)

    def value(self) -> Value:
        token = self.next()
        if token.kind == "text":
            return self.take().value
        if token.kind == "number":
            number = float(token.value)
            if number in {float("inf"), float("-inf")}:
                self.refuse("expected a number up to 1.8e308")
            return float(self.take().value)
        if token.kind == "date":
            date = to_date(token.value)
            if date is None:
                self.refuse("there is no such date or time")
            self.take()
            return date
        if token.kind == "word" and token.value in {"TRUE", "FALSE"}:
            return self.take().value == "TRUE"
        if token.kind == "name":
            self.refuse("expected a value; write texts in single quotes")
        self.refuse("expected a value: a text in single quotes, a number, a date, true or false")
