"""The results of an experiment as data frames: what ``bench.load`` and ``bench.run`` return."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from html import escape

import pandas as pd

from bench import metrics
from bench.analysis.analysis import Analysis
from bench.report.content.effect_views import effect_table
from bench.report.content.numbers import counted
from bench.report.content.prose import say
from bench.report.content.table import Table
from bench.report.content.views import arm_table
from bench.report.tables import summaries
from bench.report.tables.registry import TABLES
from bench.store.frame import NOT_RUN

_MOST_ROWS = 20  # of a table in a notebook


@dataclass(frozen=True, repr=False)
class ExperimentResults:
    """The results of an experiment as data frames; ``analysis`` is what they are made of.

    Scores are shares from 0 to 1: 0.5 is 50 %, and differences of scores are in the same unit,
    not in points. V_info is in bits. Names that end in ``seconds`` are in seconds, in
    ``milliseconds`` or ``_ms`` in milliseconds, in ``_bytes`` in bytes; ``gigabytes`` are 10⁹
    bytes, ``gflops`` 10⁹ operations, of which a multiplication and an addition are two. Where a
    number is missing it is NaN or NA. Arms, levels and classes are called as ``labels`` in the
    experiment file call them.
    """

    analysis: Analysis

    @cached_property
    def trials(self) -> pd.DataFrame:
        """A row for each planned trial, also for those without a result.

        ``key``, ``arm``, a column for each setting that arms differ in (as text), ``seed``,
        ``status`` (``done``, ``not run``, or why there is no result, with the ``reason``),
        ``seconds`` (wall time of the run that finished it), every score of the trial, counts, and
        the scores by class as ``iou.car``. It is ``trials.csv`` of the report.
        """
        return TABLES["trials"](self.analysis)

    @cached_property
    def arms(self) -> pd.DataFrame:
        """A row for each arm: ``n`` finished trials, and of every score its mean and sd over seeds.

        ``low`` and ``high`` are the ends of the 95 % interval of the mean of the experiment's
        metric. It is ``arms.csv`` of the report.
        """
        return TABLES["arms"](self.analysis)

    @cached_property
    def comparisons(self) -> pd.DataFrame:
        """A row for each comparison with the baseline, of a level or of an arm of ``include``.

        ``difference`` is level - baseline in units of the metric (of throughput it is ``ratio``,
        without a unit), ``low`` and ``high`` are its 95 % interval, ``p_corrected`` decides the
        ``verdict``, and ``detectable`` is seen with 80 % power. It is ``comparisons.csv``.
        """
        return TABLES["comparisons"](self.analysis)

    @cached_property
    def history(self) -> pd.DataFrame:
        """A row for each trial and epoch, in the order of the plan.

        ``key``, ``arm``, ``seed``, ``status``, ``epoch`` (from 1 on), ``train_loss`` (mean over its
        steps, as the loss function gives it), ``learning_rate`` at its first step, ``seconds``, and
        in evaluated epochs the scores of the watched split.
        """
        return self.analysis.history.copy()

    @cached_property
    def per_class(self) -> pd.DataFrame:
        """A row for each finished trial and class, in the order of the plan.

        ``key``, ``arm``, ``seed``, ``class``, every score by class, and numbers of pixels where
        they are stored: ``pixels_truth``, ``pixels_predicted`` and ``pixels_correct`` of the
        evaluated split without void, ``pixels_train`` of the training split. ``per_class.csv`` of
        the report has means of these scores over seeds.
        """
        return summaries.trials_by_class(self.analysis)

    @cached_property
    def collapse(self) -> pd.DataFrame:
        """A row for each arm: how its runs ended; no rows where all trained, as far as is known.

        ``low`` and ``high`` are the 95 % bounds of the share that does not train, ``seeds`` those
        that did not. It is ``collapse.csv`` of the report.
        """
        return TABLES["collapse"](self.analysis)

    @cached_property
    def tuning(self) -> pd.DataFrame:
        """A row for each trial of tuned arms: with the default, of tuning, with what was chosen.

        ``stage`` (``default``, ``tuning`` or ``tuned``), ``key``, ``arm``, a column for each tuned
        setting, ``seed``, ``status``, the score, and ``chosen``. It is ``tuning.csv``; without
        ``tune`` in the experiment file it has no rows.
        """
        return TABLES["tuning"](self.analysis)

    def __repr__(self) -> str:
        return f"<ExperimentResults of {self._summary()}>"

    def _repr_html_(self) -> str:
        """Return the question, the answer, arms and comparisons, for a notebook; names are text."""
        question = self.analysis.plan.question
        sentences = [question, *say(self.analysis, "answer")] if question else [self._summary()]
        tables = map(_html, (arm_table(self.analysis), effect_table(self.analysis)))
        prose = "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)
        return f"<h3>{escape(self._summary())}</h3>{prose}{''.join(tables)}"

    def _summary(self) -> str:
        plan, trials = self.analysis.plan, self.analysis.trials
        arms, finished = len(self.analysis.arms), len(self.analysis.done)
        missing = int((trials["status"] == NOT_RUN).sum())
        failed = len(trials) - finished - missing
        counts = f"{finished} finished, {failed} failed, {missing} not run"
        return (
            f"{plan.name}: {counted(arms, 'arm')}, {counted(len(trials), 'trial')} ({counts}); "
            f"{metrics.heading(plan.metric)}"
        )


def _html(table: Table) -> str:
    """Return the first rows of a table; an empty text where it has none."""
    if not table.rows:
        return ""
    shown = table.first_rows(_MOST_ROWS)
    head = "".join(f"<th>{escape(heading)}</th>" for heading in shown.headings)
    rows = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in shown.text())
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    left = len(table.rows) - len(shown.rows)
    more = f"<p>and {left} more rows</p>" if left else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"
