"""What a run leaves behind and what its numbers say.

Folders (``store.Result``, ``store.read_result``, ``sweep_table.load_results``), identity, columns
of rows, KPIs with intervals (``summary.summarise``), tables (``tables.table``), comparison
(``compare.compare``), Bjøntegaard deltas (``bd``), exports. It draws nothing and runs nothing.
"""
