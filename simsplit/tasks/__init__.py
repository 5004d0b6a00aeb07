"""What the networks look at and what an answer is worth: data sets, metrics, scored answers.

Others use ``datasets.open_dataset``, ``answers.task_scores`` and ``metrics``.
"""
