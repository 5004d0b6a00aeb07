"""The air without a clock, as the standards have it: no queue, no request, no SimPy.

Frame structure, MCS and transport block sizes, propagation and fading, the table of block error
rates and its calibration, the coded link, the air of JSCC symbols, channel traces (``traces``).
Others use ``link.BlerTable``, ``coded.CodedLink``, ``analog.transmit``, ``traces.read.read_trace``,
``traces.kinds.make_trace`` and ``calibrate.calibrate``. The only room with Sionna.
"""
