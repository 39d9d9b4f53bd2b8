"""Statistics of few training runs: numbers in, numbers out.

The replicate is the training run. Nothing here knows of experiments, files or data frames;
``bench.analysis.effects`` puts the numbers of an experiment in. ``docs/statistics.md`` says what
each number is, which assumptions it rests on, and what simulations gave.

sample     one sample: mean, sd, t-interval
blocks     differences between means of conditions that share their seeds
families   p values corrected for how many comparisons there are
verdicts   better, worse, equivalent or inconclusive
power      which difference a design can see, and how many seeds would see it
anova      a factorial design taken apart
images     what other images would have given, which is another question altogether
"""

ALPHA = 0.05  # of every family of comparisons; intervals are of 1 - ALPHA
POWER = 0.80  # with which a "detectable" difference is detected
