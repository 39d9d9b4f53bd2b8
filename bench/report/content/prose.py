"""The sentences of a report, from one template for each topic, as plain text for every format."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import jinja2

from bench import metrics
from bench.analysis.analysis import Analysis
from bench.analysis.effects.estimates import OWN_ERROR_FROM
from bench.report.content import (
    collapse,
    facts,
    numbers,
    other_metrics,
    planning,
    timed,
    tuning,
    words,
)

MOST_LOOKS = 20  # that a sentence names
MOST_NAMED = 5  # files or trials that a warning names


def say(results: Analysis, topic: str, **more: Any) -> list[str]:
    """Return what there is to say about a topic; nothing where it does not arise.

    A topic is a file ``templates/prose/TOPIC.j2``, in which empty lines part the sentences.
    """
    template = _environment().get_template(f"{topic}.j2")
    text = template.render(
        results=results,
        plan=results.plan,
        found=results.effects,
        metric=metrics.label(results.metric),
        replicate=results.measurement.replicate,
        trains=results.measurement.trains,
        ratios=results.scale.logarithmic,
        noun=words.noun(results.scale),
        **more,
    )
    parts = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text))
    return [part for part in parts if part]


def _printable(value: object) -> str:
    """Return a value without line breaks, which would part sentences."""
    return "".join(c if c.isprintable() else " " for c in str(value))


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bench.report", "templates/prose"),
        autoescape=False,  # every format escapes what it gets
        finalize=_printable,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    own = (numbers.counted, numbers.duration, numbers.equals, numbers.listed, numbers.percent)
    environment.filters |= {function.__name__: function for function in (*own, numbers.score)}
    environment.filters["by"] = lambda value, macro: macro(value)
    environment.globals |= {"facts": facts, "words": words, "tuned": tuning}
    environment.globals |= {"lost": collapse, "by_metric": other_metrics, "planned": planning}
    environment.globals["timed"] = timed
    environment.globals |= {"most_named": MOST_NAMED, "most_looks": MOST_LOOKS}
    environment.globals["own_error_from"] = OWN_ERROR_FROM
    return environment
