"""One self-contained HTML page of a run or a sweep: nothing in it is loaded from elsewhere.

Others use ``report.report``, which writes the page.
"""
