"""Networks that can be cut in two, and what stands at a cut.

Any network: ``tracing``, ``graph``, ``cuts``, ``halves``, ``costs``, opened by ``opened``. Our own:
``multitask``, ``compressible``, ``digits``, ``bottleneck``, ``deepjscc``, loaded from a folder in
``models`` by ``artefact.load_artefact`` and run by ``inference.Inference``.
"""
