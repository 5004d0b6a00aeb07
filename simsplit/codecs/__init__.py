"""Arrays to bytes and back; a payload is ``len(bytes) * 8`` bits, header included.

Others use ``contract.Codec``, the form of every codec, and ``build.make_codec``, which builds one
from its spec.
"""
