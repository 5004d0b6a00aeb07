"""Paper figures: a frame in, a drawing out; the only room with Matplotlib.

Others use ``kinds.plot``, which draws any kind of figure into files, and ``contract.PlotOptions``.
"""
