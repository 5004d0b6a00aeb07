"""What every codec promises: arrays become bytes, bytes become arrays again or an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from simsplit.errors import ContractError
from simsplit.scenario.user_code import made_of, users_code


class CodecError(ValueError):
    """An array that cannot be coded, or a payload that this codec cannot have written."""


class Codec(Protocol):
    """Coder and decoder of one array; the payload's size is ``len(bytes) * 8`` bits.

    A user's own is built with ``(shape, **options)``, once per operating point: ``(H, W, C)`` of
    pictures uint8 (raw scheme), ``(C, h, w)`` of features float32 (separate scheme). What comes
    back has that shape and type; lossy is allowed, NaN is not.

    What both ends know beforehand (shape, bit depth, tables) is given to the constructor and costs
    nothing; everything that depends on the array is in the payload, header included. Optional:
    ``header_bytes(payload)``, how many of its bytes are no coded data (`simsplit.codecs.headers`).
    """

    def encode(self, array: NDArray[Any]) -> bytes:
        """Array → payload. Raises CodecError for a wrong shape or type, NaN or infinity."""

    def decode(self, payload: bytes) -> NDArray[Any]:
        """Payload → array. Raises CodecError for a payload that is visibly damaged."""


def checked_feature(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The array as float32.

    Raises:
        CodecError: Other shape than agreed, no element, NaN or infinity.
    """
    if array.shape != shape:
        raise CodecError(f"shape {array.shape} where {shape} was agreed")
    if array.size == 0:
        raise CodecError(f"nothing to code in shape {shape}")
    feature = np.asarray(array, dtype=np.float32)
    if not np.isfinite(feature).all():
        raise CodecError("NaN or infinity cannot be quantised")
    return feature


# --- a user's own ------------------------------------------------------------------------------

KIND = "a codec"


class CheckedCodec:
    """A user's codec, held to the contract at every call.

    Args:
        codec: The user's object.
        shape: Of the array, agreed at both ends: pictures ``(H, W, C)``, features ``(C, h, w)``.
        is_picture: Arrays are uint8 pictures; else float32 features.
        who: Its class, for errors.
        path: Where it stands in the YAML, for errors.
    """

    def __init__(
        self, codec: Codec, shape: tuple[int, ...], *, is_picture: bool, who: str, path: str = ""
    ) -> None:
        self._codec, self._shape, self._who, self._path = codec, tuple(shape), who, path
        self._dtype = np.dtype(np.uint8 if is_picture else np.float32)

    def encode(self, array: NDArray[Any]) -> bytes:
        """Array → payload. Raises ContractError for what is not bytes."""
        with users_code(f"{self._who} failed to encode", self._path):
            payload = self._codec.encode(array.copy())
        if not isinstance(payload, bytes):
            raise self._broken("encode gives bytes", type(payload).__name__)
        return payload

    def decode(self, payload: bytes) -> NDArray[Any]:
        """Payload → array. Raises ContractError for another shape or type, NaN or infinity."""
        with users_code(f"{self._who} failed to decode", self._path):
            array = self._codec.decode(payload)
        if not isinstance(array, np.ndarray):
            raise self._broken("decode gives a numpy array", type(array).__name__)
        if array.shape != self._shape:
            raise self._broken(f"decode gives the agreed shape {self._shape}", array.shape)
        if array.dtype != self._dtype:
            raise self._broken(f"decode gives {self._dtype}", str(array.dtype))
        if not np.isfinite(array).all():
            raise self._broken("decode gives finite numbers", "NaN or infinity")
        return array

    def header_bytes(self, payload: bytes) -> int:
        """What the user's method of this name says; 0 if there is none. Raises ContractError."""
        tell = getattr(self._codec, "header_bytes", None)
        if tell is None:
            return 0
        with users_code(f"{self._who} failed to tell its header", self._path):
            count = tell(payload)
        is_whole = isinstance(count, int | np.integer) and not isinstance(count, bool)
        if not is_whole or not 0 <= count <= len(payload):
            clause = f"header_bytes gives a whole number from 0 to the payload's {len(payload)}"
            raise self._broken(clause, count)
        return int(count)

    def examine(self) -> None:
        """Two arrays there and back. Raises ContractError."""
        rng = np.random.default_rng(1)
        for array in (np.zeros(self._shape), rng.uniform(0.0, 255.0, self._shape)):
            given = array.astype(self._dtype)
            kept, payload = given.copy(), self.encode(given)
            if self.encode(kept) != payload:
                raise self._broken("encode gives the same bytes for the same array")
            self.header_bytes(payload)
            first, again = self.decode(payload), self.decode(payload)
            if not np.array_equal(first, again):
                raise self._broken("decode gives the same array for the same bytes")

    def _broken(self, clause: str, found: object = None) -> ContractError:
        return ContractError.broken(self._who, KIND, clause, found, path=self._path)


def check_codec(
    thing: Any,
    shape: tuple[int, ...] = (4, 6, 3),
    *,
    is_picture: bool = True,
    options: Mapping[str, Any] | None = None,
) -> None:
    """Hold a codec to its contract: a class, built with ``(shape, **options)``, or an object.

    Args:
        thing: Class, or object made for ``shape``.
        shape: ``(H, W, C)`` of pictures uint8, ``(C, h, w)`` of features float32.
        is_picture: Which of the two.

    Raises:
        ContractError: Names the clause that does not hold.
        ScenarioError: It cannot be built, or fails.
    """
    codec, who = made_of(thing, shape, contract=Codec, kind=KIND, options=options)
    CheckedCodec(codec, shape, is_picture=is_picture, who=who).examine()
