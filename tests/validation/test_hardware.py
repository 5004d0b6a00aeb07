"""Hardware files against latencies that others measured and published.

Of each benchmark, one or two networks set a file's efficiencies (`FITTED`: the file must still say
what it was fitted to) and the others test the prediction (`TESTED`: the roofline, which has seen
none of them, must be right within a factor of two, and without bias over each device).

Sources, all public:
    ncnn: Tencent ncnn, benchmark/README.md, mean of benchncnn, batch 1, all big cores or the GPU.
    torch2trt: NVIDIA-AI-IOT torch2trt, README.md, TensorRT float16 on a Jetson Nano, images/s.
    nvidia: NVIDIA, "Jetson Nano: deep learning inference benchmarks", images/s.
    paddle: Paddle Inference documentation, GPU benchmark, NVIDIA T4, TensorRT 8.0, fp32.
    examples: NVIDIA DeepLearningExamples, ResNet50 v1.5 for PyTorch, README.md, NVIDIA T4, FP32.
    colab: libingwei AI-Infer-Acc, release v0.1.0, TensorRT FP32 on a T4.
    toolkit: NVIDIA TensorFlow quantization toolkit, model zoo results, A100, int8, batch 1.
    coral: Google Coral, "Edge TPU performance benchmarks", column "Dev Board with Edge TPU".
    st: STMicroelectronics stm32ai-modelzoo, image_classification/mobilenetv2/README.md.
    mobileone: P. Vasu et al., arXiv 2206.04040, and apple/ml-mobileone, iPhone 12.
    ultralytics: Ultralytics documentation, guides for Raspberry Pi (NCNN) and NVIDIA Jetson.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import cache
from statistics import geometric_mean

import pytest

from simsplit.hardware import Hardware, load_hardware
from simsplit.operators import Operators, total_macs

# hardware, network, batch, milliseconds, source
Row = tuple[str, str, int, float, str]

FITTED: list[Row] = [
    ("raspberry_pi_4", "resnet50", 1, 486.97, "ncnn"),
    ("raspberry_pi_4", "mobilenet_v2", 1, 75.84, "ncnn"),
    ("phone_soc", "resnet50", 1, 59.98, "ncnn"),
    ("phone_soc", "mobilenet_v2", 1, 11.06, "ncnn"),
    ("phone_cpu", "resnet50", 1, 28.32, "ncnn"),
    ("phone_cpu", "mobilenet_v2", 1, 5.13, "ncnn"),
    ("laptop_cpu", "resnet50", 1, 73.68, "ncnn"),
    ("laptop_cpu", "mobilenet_v2", 1, 13.36, "ncnn"),
    ("laptop_gpu", "resnet50", 1, 7.68, "ncnn"),
    ("laptop_gpu", "mobilenet_v2", 1, 3.03, "ncnn"),
    ("jetson_nano", "resnet50", 1, 1000 / 34.2, "torch2trt"),
    ("jetson_nano", "mobilenet_v2@300", 1, 1000 / 64, "nvidia"),
    ("edge_gpu_t4", "resnet50", 4, 9.3702, "paddle"),
    ("edge_gpu_t4", "mobilenet_v2", 4, 2.819, "paddle"),
    ("coral_edge_tpu", "googlenet", 1, 4.1, "coral"),
    ("coral_edge_tpu", "mobilenet_v2", 1, 2.6, "coral"),
    ("coral_edge_tpu", "vgg16", 1, 343.0, "coral"),
    ("mcu_npu", "mobilenet_v2*1.0", 1, 21.08, "st"),
]

TESTED: list[Row] = [
    ("raspberry_pi_4", "resnet18", 1, 233.89, "ncnn"),
    ("raspberry_pi_4", "vgg16", 1, 988.65, "ncnn"),
    ("raspberry_pi_4", "googlenet", 1, 176.24, "ncnn"),
    ("raspberry_pi_4", "squeezenet1_1", 1, 58.73, "ncnn"),
    ("raspberry_pi_4", "mnasnet1_0", 1, 64.64, "ncnn"),
    ("phone_soc", "resnet18", 1, 25.31, "ncnn"),
    ("phone_soc", "vgg16", 1, 170.15, "ncnn"),
    ("phone_soc", "googlenet", 1, 29.97, "ncnn"),
    ("phone_soc", "squeezenet1_1", 1, 9.43, "ncnn"),
    ("phone_soc", "mnasnet1_0", 1, 11.60, "ncnn"),
    ("phone_soc", "efficientnet_b0", 1, 23.15, "ncnn"),
    ("phone_soc", "regnet_y_400mf", 1, 16.16, "ncnn"),
    ("phone_cpu", "resnet18", 1, 11.63, "ncnn"),
    ("phone_cpu", "vgg16", 1, 66.40, "ncnn"),
    ("phone_cpu", "googlenet", 1, 17.49, "ncnn"),
    ("phone_cpu", "squeezenet1_1", 1, 4.51, "ncnn"),
    ("phone_cpu", "mnasnet1_0", 1, 4.69, "ncnn"),
    ("phone_cpu", "efficientnet_b0", 1, 10.09, "ncnn"),
    ("phone_cpu", "regnet_y_400mf", 1, 8.33, "ncnn"),
    ("laptop_cpu", "resnet18", 1, 37.58, "ncnn"),
    ("laptop_cpu", "vgg16", 1, 170.46, "ncnn"),
    ("laptop_cpu", "googlenet", 1, 42.11, "ncnn"),
    ("laptop_cpu", "squeezenet1_1", 1, 11.15, "ncnn"),
    ("laptop_cpu", "mnasnet1_0", 1, 11.32, "ncnn"),
    ("laptop_cpu", "efficientnet_b0", 1, 16.59, "ncnn"),
    ("laptop_cpu", "regnet_y_400mf", 1, 18.90, "ncnn"),
    ("laptop_gpu", "resnet18", 1, 4.18, "ncnn"),
    ("laptop_gpu", "vgg16", 1, 32.68, "ncnn"),
    ("laptop_gpu", "googlenet", 1, 5.22, "ncnn"),
    ("laptop_gpu", "squeezenet1_1", 1, 2.08, "ncnn"),
    ("laptop_gpu", "mnasnet1_0", 1, 2.89, "ncnn"),
    ("laptop_gpu", "efficientnet_b0", 1, 5.18, "ncnn"),
    ("laptop_gpu", "regnet_y_400mf", 1, 4.22, "ncnn"),
    ("jetson_nano", "resnet18", 1, 1000 / 90.2, "torch2trt"),
    ("jetson_nano", "resnet34", 1, 1000 / 50.7, "torch2trt"),
    ("jetson_nano", "resnet101", 1, 1000 / 19.9, "torch2trt"),
    ("jetson_nano", "densenet121", 1, 1000 / 41.9, "torch2trt"),
    ("jetson_nano", "vgg16", 1, 1000 / 11.9, "torch2trt"),
    ("jetson_nano", "alexnet", 1, 1000 / 69.9, "torch2trt"),
    ("jetson_nano", "squeezenet1_0", 1, 1000 / 137, "torch2trt"),
    ("jetson_nano", "squeezenet1_1", 1, 1000 / 248, "torch2trt"),
    ("jetson_nano", "vgg19", 1, 1000 / 10, "nvidia"),
    ("edge_gpu_t4", "resnet50", 1, 3.5244, "paddle"),
    ("edge_gpu_t4", "mobilenet_v2", 1, 1.1125, "paddle"),
    ("edge_gpu_t4", "resnet50", 32, 77.62, "examples"),
    ("edge_gpu_t4", "resnet50", 128, 309.26, "examples"),
    ("edge_gpu_t4", "resnet18", 1, 2.26, "colab"),
    ("edge_gpu_t4", "resnet18", 32, 25.76, "colab"),
    ("coral_edge_tpu", "resnet50@299", 1, 56.0, "coral"),
    ("coral_edge_tpu", "resnet152@299", 1, 151.0, "coral"),
    ("coral_edge_tpu", "vgg19", 1, 357.0, "coral"),
    ("mcu_npu", "mobilenet_v2*0.35", 1, 9.14, "st"),
    ("mcu_npu", "mobilenet_v2*0.35@128", 1, 6.35, "st"),
    ("mcu_npu", "mobilenet_v2*1.4", 1, 35.34, "st"),
    # the file's convolution figure is from another paper (CMSIS-NN), so that all four are tests
    ("mcu_m7:400mhz", "mobilenet_v2*1.0", 1, 1106.64, "st"),
    ("mcu_m7:400mhz", "mobilenet_v2*0.35", 1, 313.92, "st"),
    ("mcu_m7:400mhz", "mobilenet_v2*0.35@128", 1, 116.13, "st"),
    ("mcu_m7:400mhz", "mobilenet_v2*1.4", 1, 2010.66, "st"),
]


@cache
def operators(spec: str) -> Operators:
    """Of torchvision's ``name``, ``name*width`` or either with ``@pixels``."""
    import torch
    import torchvision

    from simsplit.nets.costs import record

    name, _, pixels = spec.partition("@")
    name, _, width = name.partition("*")
    options: dict[str, object] = {"width_mult": float(width)} if width else {}
    options |= {"init_weights": False} if name == "googlenet" else {}
    # no time for random weights, which nobody looks at; RegNet computes its widths with tensors
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        network = getattr(torchvision.models, name)(weights=None, **options)
    network = network.to_empty(device="cpu").eval()
    for tensor in (*network.parameters(), *network.buffers()):
        tensor.data.zero_()
    side = int(pixels or 224)
    return record(network, torch.zeros(1, 3, side, side))


def hardware(spec: str) -> Hardware:
    """``name`` or ``name:level``."""
    name, _, level = spec.partition(":")
    return load_hardware(name).at_level(level) if level else load_hardware(name)


def ratio(row: Row) -> float:
    """Predicted over measured."""
    name, network, batch, milliseconds, _ = row
    return hardware(name).seconds(operators(network), batch) * 1000 / milliseconds


def _name(row: Row) -> str:
    return f"{row[0]}-{row[1]}-{row[2]}"


@pytest.mark.parametrize(
    ("network", "gmacs"), [("resnet50", 4.09), ("mobilenet_v2", 0.30), ("vgg16", 15.47)]
)
def test_the_networks_are_those_that_were_measured(network: str, gmacs: float) -> None:
    assert total_macs(operators(network)) / 1e9 == pytest.approx(gmacs, rel=0.01)


@pytest.mark.parametrize("row", FITTED, ids=_name)
def test_files_say_what_they_were_fitted_to(row: Row) -> None:
    assert ratio(row) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("row", TESTED, ids=_name)
def test_prediction_is_right_within_a_factor_of_two(row: Row) -> None:
    assert 0.5 < ratio(row) < 2.0


def test_no_device_is_flattered() -> None:
    ratios: defaultdict[str, list[float]] = defaultdict(list)
    for row in TESTED:
        ratios[row[0]].append(ratio(row))
    means = {name: geometric_mean(values) for name, values in ratios.items()}
    assert all(0.75 < mean < 1.33 for mean in means.values()), means


def test_half_of_the_predictions_are_within_a_quarter() -> None:
    errors = sorted(abs(ratio(row) - 1) for row in TESTED)
    assert errors[len(errors) // 2] < 0.25


@pytest.mark.xfail(strict=True, reason="its normalisations precede convolutions: not folded there")
def test_densenet_on_the_edge_tpu() -> None:
    assert 0.5 < ratio(("coral_edge_tpu", "densenet121", 1, 25.0, "coral")) < 2.0


@pytest.mark.parametrize(
    ("network", "milliseconds"),
    [("resnet101", 0.84), ("mobilenet_v2", 0.30), ("efficientnet_b0", 0.67)],
)
def test_a_single_sample_on_an_a100_is_bound_by_its_launches(
    network: str, milliseconds: float
) -> None:
    # measured in int8, which has twice the peak; ResNet-50 (0.46 ms) set operator_overhead_s
    int8 = replace(load_hardware("cloud_a100"), dtype="int8", peak_macs_per_s=312e12)
    assert 0.5 < int8.seconds(operators(network)) * 1000 / milliseconds < 2.0


@pytest.mark.parametrize(
    ("name", "mmacs", "milliseconds"),
    [
        ("phone_npu", 275, 0.79),  # MobileOne-S0; S1 and S4 set the file
        ("phone_npu", 1299, 1.18),  # S2
        ("phone_npu", 1896, 1.53),  # S3
        ("raspberry_pi_5", 3250, 88.026),  # YOLO11n, 6.5 GFLOP; YOLO11s set the file
    ],
)
def test_estimate_from_macs_alone(name: str, mmacs: float, milliseconds: float) -> None:
    assert 0.5 < load_hardware(name).compute_s(mmacs * 1e6) * 1000 / milliseconds < 2.0


@pytest.mark.parametrize(
    ("small_gmacs", "large_gmacs", "milliseconds"),
    [(34.0, 43.45, 17.57 - 13.99), (34.0, 97.45, 32.94 - 13.99), (3.25, 10.75, 7.30 - 4.91)],
)
def test_what_more_work_takes_on_an_orin_nano(
    small_gmacs: float, large_gmacs: float, milliseconds: float
) -> None:
    # YOLO11 l - m, x - m, s - n; n and m set the file. Overheads cancel in the difference.
    orin = load_hardware("jetson_orin_nano")
    more_s = orin.compute_s(large_gmacs * 1e9) - orin.compute_s(small_gmacs * 1e9)
    assert 0.5 < more_s * 1000 / milliseconds < 2.0
