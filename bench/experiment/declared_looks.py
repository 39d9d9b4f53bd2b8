"""``seeds`` of an experiment file as looks: at which numbers of seeds comparisons are decided."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from bench.measurements import MEASUREMENTS
from bench.settings import Settings

FIRST = 3  # seeds of the first look, unless a file gives another
MOST = 50  # looks; with more, hardly any α is left for each
_FORMS = "look_at: [3, 5, 8], or until: decided with at_most: 20"


class DeclaredLooks(Settings):
    """Numbers of seeds, from 0 on, at which is decided what needs no more of them."""

    look_at: list[int] = Field(
        [], description="numbers of seeds, rising: decide after 3, after 5 and after 8, say"
    )
    until: Literal["decided"] | None = Field(
        None, description="decided: look after each seed from the first look on"
    )
    at_most: int | None = Field(None, description="seeds of the last look, with until: decided")
    first: int | None = Field(
        None, description=f"seeds of the first look, with until: decided; {FIRST} if left out"
    )

    @model_validator(mode="after")
    def _one_form(self) -> DeclaredLooks:
        given = self.model_fields_set
        if "look_at" in given and (others := sorted(given - {"look_at"})):
            raise ValueError(f"look_at: says all by itself; leave out {' and '.join(others)}")
        if "look_at" in given:
            self._check_look_at()
        elif self.until is None:
            raise ValueError(f"until: is missing; write {_FORMS}")
        elif self.at_most is None:
            raise ValueError("at_most: is missing: how many seeds may be measured at most?")
        elif self.numbers[:1] < (2,):
            raise ValueError(f"first: a comparison needs 2 seeds or more (got {self.first})")
        elif self.at_most <= self.numbers[0]:
            raise ValueError(
                f"at_most: {self.at_most} is not above {self.numbers[0]}, the seeds of the first "
                "look (first)"
            )
        if len(self.numbers) > MOST:
            raise ValueError(f"at_most: {len(self.numbers)} looks; at most {MOST}: use look_at")
        return self

    def _check_look_at(self) -> None:
        found = self.look_at
        if sorted(set(found)) != found:
            better = sorted(set(found))
            raise ValueError(f"look_at: numbers rise from look to look: {better} (got {found})")
        if len(found) < 2:
            once = f"; for a single look write seeds: {found[0]}" if found else ""
            raise ValueError(f"look_at: two looks or more{once} (got {found})")
        if found[0] < 2:
            raise ValueError(f"look_at: a comparison needs 2 seeds or more (got {found})")

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of seeds at which to look, rising."""
        if self.look_at:
            return tuple(self.look_at)
        first = FIRST if self.first is None else self.first
        return (first, *range(first + 1, (self.at_most or 0) + 1))


def check(measure: str, *, tuned: bool, pairing: str) -> None:
    """Raise ValueError where the bounds of verdicts would not hold."""
    kind = MEASUREMENTS[measure]
    if not kind.trains:
        raise ValueError(
            f"seeds: looks are for measure: accuracy; of {measure}, give the number of "
            f"{kind.replicate}s"
        )
    if tuned:
        raise ValueError(
            "seeds: looks and tune do not go together; give a number of seeds, or tune first "
            "and write the values into another file"
        )
    if pairing == "none":
        raise ValueError(
            "seeds: looks need arms that share their seeds; leave out pairing: none, or give a "
            "number of seeds"
        )


def form(seeds: Any) -> str:
    """Return of which form the value of ``seeds`` is: pydantic tries that one alone."""
    return "looks" if isinstance(seeds, dict | DeclaredLooks) else "listed"
