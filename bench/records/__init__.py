"""The store: one file a trial, written whole or not at all, and verified when it is read.

A results folder belongs to one experiment::

    plan.json               what the experiment consists of: factors, baseline, every trial
    trials/<key>.json       one record a trial; its presence is what "measured" means
    details/<key>.json      what only some readers need: history, per-image confusion matrices
    blobs/<sha256>.<ext>    pictures and checkpoints, named by their content
    partial/<key>           the state of a trial that was interrupted in the middle
    claims/<key>            who measures what, while somebody does
    archive/, damaged/      records of other versions, and files that were found damaged

Details and blobs are written before the record that names them, so that a record never
points at something that is not there. ``docs/results-format.md`` describes the content.
"""

from bench.records.files import SCHEMA, Damaged, Unwritable
from bench.records.store import ATTEMPTS, Record, Store, is_final, is_result, left

__all__ = [
    "ATTEMPTS",
    "SCHEMA",
    "Damaged",
    "Record",
    "Store",
    "Unwritable",
    "is_final",
    "is_result",
    "left",
]
