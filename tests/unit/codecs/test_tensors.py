"""What lives at a cut, and pictures as they are: round trips, sizes, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from simsplit.codecs.contract import CodecError
from simsplit.codecs.tensors import TYPES, PixelsCodec, TensorsCodec, TensorType

FLOATS = st.floats(-6e4, 6e4, width=32)  # float16 ends at 65504
SHAPES = array_shapes(min_dims=1, max_dims=4, max_side=5)
TENSORS = st.lists(SHAPES.flatmap(lambda shape: arrays(np.float32, shape, elements=FLOATS)))
few = settings(max_examples=40, deadline=None, derandomize=True)


def round_trip(tensors: list[np.ndarray], dtype: TensorType) -> tuple[list[np.ndarray], bytes]:
    codec = TensorsCodec([tensor.shape for tensor in tensors], dtype)
    payload = codec.encode(tensors)
    assert len(payload) == codec.payload_bytes
    found = codec.decode(payload)
    assert [one.shape for one in found] == [one.shape for one in tensors]
    assert all(one.dtype == np.float32 for one in found)
    return found, payload


@few
@given(TENSORS)
def test_float32_is_lossless(tensors: list[np.ndarray]) -> None:
    found, payload = round_trip(tensors, "float32")
    assert [one.tobytes() for one in found] == [one.tobytes() for one in tensors]
    assert len(payload) == sum(one.nbytes for one in tensors)


@few
@given(TENSORS)
def test_float16_rounds_to_the_nearest(tensors: list[np.ndarray]) -> None:
    found, payload = round_trip(tensors, "float16")
    assert len(payload) == sum(one.nbytes for one in tensors) // 2
    for sent, got in zip(tensors, found, strict=True):
        ulp = np.maximum(np.abs(sent) * 2.0**-10, 2.0**-24)  # ten bits behind the point; subnormal
        assert (np.abs(got.astype(float) - sent) <= ulp / 2).all()


@few
@given(TENSORS)
def test_uint8_is_off_by_half_a_step_at_most(tensors: list[np.ndarray]) -> None:
    found, payload = round_trip(tensors, "uint8")
    assert len(payload) == sum(one.size + 8 for one in tensors)  # minimum and maximum ahead
    for sent, got in zip(tensors, found, strict=True):
        step = (float(sent.max()) - float(sent.min())) / 255
        rounding = 2.0**-23 * float(np.abs(sent).max())  # of the float32 that comes out
        assert (np.abs(got.astype(float) - sent) <= step / 2 + rounding).all()


def test_uint8_gives_each_tensor_its_own_range() -> None:
    wide, narrow = np.array([-1000.0, 1000.0]), np.array([0.0, 0.001, 0.002])
    tensors = [wide.astype(np.float32), narrow.astype(np.float32)]
    found, _ = round_trip(tensors, "uint8")
    assert np.abs(found[1] - tensors[1]).max() <= 0.002 / 255 / 2 + 1e-9
    assert found[0].tolist() == [-1000.0, 1000.0]


def test_tensors_lie_one_after_another() -> None:
    first, second = np.arange(6, dtype=np.float32).reshape(2, 3), np.full((1, 2), 9, np.float32)
    payload = TensorsCodec([(2, 3), (1, 2)], "float32").encode([first, second])
    assert payload == first.tobytes() + second.tobytes()
    assert np.frombuffer(payload, "<f4").tolist() == [0, 1, 2, 3, 4, 5, 9, 9]


def test_a_tensor_that_is_not_contiguous_is_sent_row_by_row() -> None:
    turned = np.arange(12, dtype=np.float32).reshape(3, 4).T
    found, payload = round_trip([turned], "float32")
    assert (found[0] == turned).all() and payload != turned.T.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("change", [-1, 1, -5])
def test_a_payload_of_another_length_is_refused(dtype: TensorType, change: int) -> None:
    codec = TensorsCodec([(2, 3), (4,)], dtype)
    payload = codec.encode([np.ones((2, 3), np.float32), np.zeros(4, np.float32)])
    wrong = payload[:change] if change < 0 else payload + b"x"
    with pytest.raises(CodecError, match=f"{len(wrong)} bytes where {len(payload)} were agreed"):
        codec.decode(wrong)
    with pytest.raises(CodecError, match="0 bytes where"):
        codec.decode(b"")


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize(
    "shapes", [[], [(2, 3)], [(3, 2), (4,)], [(2, 3), (4,), (4,)], [(6,), (4,)]]
)
def test_other_shapes_are_refused(dtype: TensorType, shapes: list[tuple[int, ...]]) -> None:
    codec = TensorsCodec([(2, 3), (4,)], dtype)
    with pytest.raises(CodecError, match=r"where \[\(2, 3\), \(4,\)\] were agreed"):
        codec.encode([np.zeros(shape, np.float32) for shape in shapes])


def test_infinity_is_sent_as_it_is_but_never_made() -> None:
    there = np.array([np.inf, -np.inf, 1.0], np.float32)
    found, _ = round_trip([there], "float16")
    assert found[0].tolist() == there.tolist()
    with pytest.raises(CodecError, match="overflows float16"):
        TensorsCodec([(3,)], "float16").encode([np.array([np.inf, 7e4, 1.0], np.float32)])


@few
@given(array_shapes(min_dims=3, max_dims=3, max_side=6), st.data())
def test_pixels_are_one_byte_each(shape: tuple[int, ...], data: Any) -> None:
    picture = data.draw(arrays(np.uint8, shape))
    codec = PixelsCodec(shape)
    payload = codec.encode(picture)
    assert list(payload) == picture.ravel().tolist()
    assert (codec.decode(payload) == picture).all() and codec.decode(payload).shape == shape


def test_pixels_of_a_view_come_row_by_row() -> None:
    picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    mirrored = picture[:, ::-1]
    codec = PixelsCodec((2, 4, 3))
    assert (codec.decode(codec.encode(mirrored)) == mirrored).all()


@pytest.mark.parametrize(
    "array",
    [np.zeros((2, 4, 1), np.uint8), np.zeros((4, 2, 3), np.uint8), np.zeros((2, 4, 3), np.float32)],
)
def test_pixels_of_another_shape_or_kind_are_refused(array: np.ndarray) -> None:
    with pytest.raises(CodecError, match=r"where uint8 \(2, 4, 3\) was agreed"):
        PixelsCodec((2, 4, 3)).encode(array)


@pytest.mark.parametrize("length", [0, 23, 25])
def test_pixels_of_another_length_are_refused(length: int) -> None:
    with pytest.raises(CodecError, match=f"{length} bytes where 24 were agreed"):
        PixelsCodec((2, 4, 3)).decode(bytes(length))


TYPED = st.sampled_from(sorted(set(TYPES) - {"float32"})).flatmap(
    lambda name: SHAPES.flatmap(lambda shape: arrays(TYPES[name], shape)).map(lambda a: (name, a))
)


@few
@given(st.lists(TYPED), st.sampled_from(["float32", "float16", "uint8"]))
def test_every_other_type_travels_bit_for_bit(
    typed: list[tuple[str, np.ndarray]], dtype: TensorType
) -> None:
    codec = TensorsCodec([array.shape for _, array in typed], dtype, [name for name, _ in typed])
    payload = codec.encode([array for _, array in typed])
    sizes = (-(-a.size // 8) if name == "bool" else a.nbytes for name, a in typed)
    assert len(payload) == codec.payload_bytes == sum(sizes)
    for (_, sent), got in zip(typed, codec.decode(payload), strict=True):
        assert (got.dtype, got.shape) == (sent.dtype, sent.shape)
        assert got.tobytes() == sent.tobytes()


@pytest.mark.parametrize(("count", "size"), [(0, 0), (1, 1), (8, 1), (9, 2), (144, 18)])
def test_bools_are_bits(count: int, size: int) -> None:
    mask = np.random.default_rng(count).random(count) < 0.5
    codec = TensorsCodec([(count,), (3,)], "float32", ["bool", "int32"])
    payload = codec.encode([mask, np.arange(3, dtype=np.int32)])
    assert len(payload) == codec.payload_bytes == size + 12
    got, places = codec.decode(payload)
    assert got.dtype == bool and got.tolist() == mask.tolist() and places.tolist() == [0, 1, 2]
    with pytest.raises(CodecError, match=f"{size + 13} bytes where {size + 12} were agreed"):
        codec.decode(payload + b"0")


@pytest.mark.parametrize(("dtype", "size"), [("float32", 4), ("float16", 2), ("uint8", 1)])
def test_quantisation_is_for_float32_alone(dtype: TensorType, size: int) -> None:
    values = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
    places = np.array([2**53 + 1, -1, 1000], np.int64)  # the first is no float64
    codec = TensorsCodec([(2, 3), (3,)], dtype, ["float32", "int64"])
    payload = codec.encode([values, places])
    assert len(payload) == codec.payload_bytes == 6 * size + (8 if size == 1 else 0) + 3 * 8
    near, exact = codec.decode(payload)
    assert exact.tolist() == places.tolist() and exact.dtype == np.int64
    assert np.abs(near - values).max() <= 2 / 255 / 2 + 1e-6


@pytest.mark.parametrize(("name", "given"), [("int64", np.int32), ("bool", np.uint8)])
def test_another_type_than_agreed_is_refused(name: str, given: type) -> None:
    codec = TensorsCodec([(3,)], "float32", [name])
    with pytest.raises(CodecError, match=f"{np.dtype(given)} where {name} was agreed"):
        codec.encode([np.zeros(3, given)])


def test_whole_numbers_are_no_float32() -> None:
    with pytest.raises(CodecError, match="int64 where float32 was agreed"):
        TensorsCodec([(3,)], "uint8").encode([np.zeros(3, np.int64)])


def test_a_type_that_does_not_travel_is_named() -> None:
    with pytest.raises(CodecError, match="float8_e4m3fn is none of the types that travel: bool"):
        TensorsCodec([(3,)], "float32", ["float8_e4m3fn"])
