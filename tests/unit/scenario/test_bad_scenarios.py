"""Bad scenarios: path in the YAML, value, choices or bounds; no traceback; nothing written."""

# ruff: noqa: E501  (one case per line)

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from simsplit.cli.terminal import app
from simsplit.errors import Mistakes, SimsplitError

bundled = importlib.import_module("simsplit.scenario.bundled")
loading = importlib.import_module("simsplit.scenario.load")
MODELS_DIR = bundled.models_dir
for module in (
    "study.run",
    "study.inputs",
    "study.check",
):  # they shall know the true folder of models
    importlib.import_module(f"simsplit.{module}")
OWN = "{name: own, scheme: local}"

BASE = """\
name: tiny
seed: 1
duration_s: 2
task: {dataset: digits, height_px: 8, width_px: 8, samples: 32}
model: digits_cnn
operating_points:
  - {name: png, scheme: raw, codec: {kind: png}}
  - {name: feature, scheme: separate, split: stage2, codec: {kind: entropy, bits: 8}}
devices:
  - name: one
    count: 1
    hardware: raspberry_pi_4
    operating_point: png
    arrivals: {kind: poisson, rate_hz: 10}
cell:
  resource_blocks: 10
  channel: {kind: fixed_snr, snr_db: 12}
edge: {hardware: edge_gpu}
"""

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join(['*' + old] * 5)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)

ONE = "    operating_point: png\n"
LATE = "    deadline_s: 1\n"
EDGE = "edge: {hardware: edge_gpu}"
SMALL = "shufflenet_v2_x0_5"  # takes a picture of 8 x 8
MODEL = "model: digits_cnn\noperating_points:\n"


def policy(text: str) -> str:
    """A group's policy in place of its operating point."""
    return f"    policy: {{{text}}}\n"


def edge(text: str) -> str:
    """The edge with something more to say."""
    return f"edge: {{hardware: edge_gpu, {text}}}"


def net(text: str, point: str = "scheme: local, network: net", source: str = "alexnet") -> str:
    """One network, and a first operating point that uses it."""
    network = f"networks: [{{name: net, source: '{source}', {text}}}]\n"
    return f"model: digits_cnn\n{network}operating_points:\n  - {{name: p, {point}}}\n"


# fmt: off
# id: (text to replace, replacement, what the message must hold)
CHANGES: dict[str, tuple[str, str, list[str]]] = {
    "MCS beyond its table": ("  resource_blocks: 10", "  mcs: {kind: fixed, index: 28, table: 2}", ["cell.mcs:", "MCS table 2 ends at index 27"]),
    "MCS table that is not there": ("  resource_blocks: 10", "  mcs: {kind: adaptive, table: 4}", ["cell.mcs.table:", "Choices: 1, 2, 3"]),
    "carrier below the model": ("  resource_blocks: 10\n  channel: {kind: fixed_snr, snr_db: 12}", "  carrier_hz: 2e8\n  channel: {kind: umi_street_canyon}", ["cell.carrier_hz: umi_street_canyon holds from 0.5 to 100 GHz"]),
    "carrier above RMa": ("  resource_blocks: 10\n  channel: {kind: fixed_snr, snr_db: 12}", "  carrier_hz: 40e9\n  channel: {kind: rma}", ["cell.carrier_hz: rma holds from 0.5 to 30 GHz"]),
    "office too long": ("  channel: {kind: fixed_snr, snr_db: 12}", "  channel: {kind: inh_office}", ["devices.one", "inh_office holds from 1 to 149.987 m"]),
    "two widths": ("  resource_blocks: 10", "  resource_blocks: 10\n  bandwidth_hz: 20e6", ["cell:", "resource_blocks or bandwidth_hz, not both"]),
    "TDD letters": ("  resource_blocks: 10", "  duplex: {kind: tdd, pattern: DDX}", ["cell.duplex.pattern:", "'DDX'"]),
    "TDD without uplink": ("  resource_blocks: 10", "  duplex: {kind: tdd, pattern: DDDS}", ["cell.duplex", "at least one U and one D"]),
    "special slot without a gap": ("  resource_blocks: 10", "  duplex: {kind: tdd, special_uplink_symbols: 4}", ["cell.duplex", "a gap"]),
    "unknown scheduler": ("  resource_blocks: 10", "  scheduler: {kind: propotional_fair}", ["cell.scheduler.kind:", "Did you mean 'proportional_fair'?"]),
    "no grant at all": ("  resource_blocks: 10", "  scheduler: {kind: max_snr, max_grants: 0}", ["cell.scheduler.max_grants:", "0"]),
    "alpha off the list": ("  channel: {kind: fixed_snr, snr_db: 12}", "  channel: {kind: rma}\n  power_control: {kind: fractional, alpha: 0.3}", ["cell.power_control.alpha:", "0.3", "0.4, 0.5"]),
    "power control without places": ("  resource_blocks: 10", "  power_control: {kind: fractional}", ["cell:", "power_control must be full"]),
    "sites without places": ("  resource_blocks: 10", "  sites: {kind: hex}", ["cell:", "sites must be single"]),
    "EESM without betas": ("  resource_blocks: 10", "  fading: {kind: tdl, effective_sinr: eesm}\n  mcs: {kind: adaptive, table: 3}", ["cell:", "miesm"]),
    "unknown profile": ("  resource_blocks: 10", "  fading: {kind: cdl, profile: F}", ["cell.fading.profile:", "'F'", "A, B, C, D, E"]),
    "sleep longer than its cycle": ("  resource_blocks: 10", "  drx: {cycle_s: 0.01, on_s: 0.02}", ["cell.drx", "on_s must not be longer"]),
    "waypoints on a line": ("    count: 1\n", "    count: 1\n    distance_min_m: 200\n    mobility: {kind: random_waypoint}\n", ["devices[0]", "needs a ring"]),
    "speeds the wrong way": ("    count: 1\n", "    count: 1\n    mobility: {kind: random_waypoint, speed_min_mps: 9}\n", ["devices[0].mobility", "speed_max_mps must be at least"]),
    "place of nobody": ("    count: 1\n", "    count: 1\n    place_group: two\n", ["devices.one.place_group"]),
    "channel trace that is not there": ("{kind: fixed_snr, snr_db: 12}", "{kind: trace, file: no.csv}", ["cell.channel.file:", "'no.csv'"]),
    "airtime of bits": ("scheme: raw,", "scheme: raw, airtime_s: 0.1,", ["operating_points[0]:", "scheme 'jscc' only"]),
    "ring turned inside out": ("    count: 1\n", "    count: 1\n    distance_min_m: 300\n", ["distance_max_m must be at least"]),
    "too low for the model": ("{kind: fixed_snr, snr_db: 12}", "{kind: umi_street_canyon, device_height_m: 0.5}", ["cell.channel.device_height_m:", "0.5"]),
    "unknown key at the top": ("seed: 1", "sede: 1", ["sede: unknown key", "'seed'"]),
    "unknown key in the cell": ("  resource_blocks", "  resource_block", ["cell.resource_block:", "'resource_blocks'"]),
    "unknown key in a union": ("snr_db: 12", "snr: 12", ["cell.channel.snr:", "Choices: kind, snr_db"]),
    "unknown key in a list": ("    count: 1", "    counts: 1", ["devices[0].counts:", "'count'"]),
    "unknown key in a codec": ("{kind: png}", "{kind: png, quality: 5}", ["operating_points[0].codec.quality:", "Choices: kind"]),
    "misspelt quality": ("{kind: entropy, bits: 8}", "{kind: jpeg_tiles, qualty: 90}", ["operating_points[1].codec.qualty: unknown key", "Did you mean 'quality'?"]),
    "no quality": ("{kind: entropy, bits: 8}", "{kind: avif_tiles}", ["operating_points[1].codec.quality: this key is required"]),
    "quality beyond JPEG's": ("{kind: entropy, bits: 8}", "{kind: jpeg_tiles, quality: 96}", ["operating_points[1].codec.quality:", "less than or equal to 95", "96"]),
    "quality beyond AVIF's": ("{kind: png}", "{kind: avif, quality: 101}", ["operating_points[0].codec.quality:", "less than or equal to 100", "101"]),
    "quality that is no number": ("{kind: entropy, bits: 8}", "{kind: webp_tiles, quality: high}", ["operating_points[1].codec.quality:", "'high'"]),
    "JPEG of six bits": ("{kind: entropy, bits: 8}", "{kind: jpeg_tiles, quality: 90, bits: 6}", ["operating_points[1].codec.bits:", "6", "Choices: 8"]),
    "lossless with a quality": ("{kind: entropy, bits: 8}", "{kind: webp_tiles, quality: 90, lossless: true}", ["operating_points[1].codec: say either quality or lossless: true"]),
    "neither lossless nor a quality": ("{kind: entropy, bits: 8}", "{kind: webp_tiles}", ["operating_points[1].codec: say either quality or lossless: true"]),
    "lossless picture with a quality": ("{kind: png}", "{kind: webp, quality: 90, lossless: true}", ["operating_points[0].codec: say either quality or lossless: true"]),
    "tiles of a picture": ("{kind: png}", "{kind: jpeg_tiles, quality: 90}", ["operating_points[0]: scheme 'raw' needs a codec of kind png | jpeg | webp | avif | pixels | custom, found jpeg_tiles"]),
    "picture's codec for a feature": ("{kind: entropy, bits: 8}", "{kind: avif}", ["operating_points[1]: scheme 'separate' needs a codec of kind entropy | adaptive_entropy | png_tiles", "found avif"]),
    "misspelt codec": ("{kind: entropy, bits: 8}", "{kind: adaptiv_entropy}", ["operating_points[1].codec.kind:", "Did you mean 'adaptive_entropy'?"]),
    "wrong unit in the key": ("duration_s", "duration_ms", ["duration_ms: unknown key", "'duration_s'"]),
    "unit in the value": ("duration_s: 2", "duration_s: 2 s", ["duration_s:", "'2 s'", "plain number"]),
    "unit in a union": ("snr_db: 12", "snr_db: 12 dB", ["cell.channel.snr_db:", "'12 dB'"]),
    "number is a boolean": ("duration_s: 2", "duration_s: yes", ["duration_s:", "true/false", "True"]),
    "text where a count belongs": ("    count: 1", "    count: many", ["devices[0].count:", "'many'", "integer"]),
    "fraction of a device": ("    count: 1", "    count: 1.5", ["devices[0].count:", "1.5", "integer"]),
    "no device": ("    count: 1", "    count: 0", ["devices[0].count:", "greater than or equal to 1"]),
    "too many devices": ("    count: 1", "    count: 99999", ["devices[0].count:", "less than or equal to 10000"]),
    "negative bandwidth": ("resource_blocks: 10", "resource_blocks: -10", ["cell.resource_blocks:", "-10", "greater than or equal to 1"]),
    "too wide": ("resource_blocks: 10", "resource_blocks: 276", ["cell.resource_blocks:", "less than or equal to 275"]),
    "carrier in GHz": ("  resource_blocks: 10", "  carrier_hz: 3.5", ["cell.carrier_hz:", "3.5", "greater than or equal to 1"]),
    "no such numerology": ("  resource_blocks: 10", "  subcarrier_spacing_hz: 45000", ["cell.subcarrier_spacing_hz:", "45000", "30000"]),
    "negative seed": ("seed: 1", "seed: -1", ["seed:", "-1", "greater than or equal to 0"]),
    "zero duration": ("duration_s: 2", "duration_s: 0", ["duration_s:", "greater than 0"]),
    "negative duration": ("duration_s: 2", "duration_s: -2", ["duration_s:", "-2", "greater than 0"]),
    "NaN": ("snr_db: 12", "snr_db: .nan", ["cell.channel.snr_db:", "nan", "finite"]),
    "NaN as text": ("snr_db: 12", "snr_db: nan", ["cell.channel.snr_db:", "nan", "finite"]),
    "infinity": ("duration_s: 2", "duration_s: .inf", ["duration_s:", "inf"]),
    "number beyond floats": ("duration_s: 2", "duration_s: 1" + "0" * 400, ["duration_s:"]),
    "number beyond Python": ("duration_s: 2", "duration_s: 1" + "0" * 5000, ["not valid YAML"]),
    "impossible date": ("name: tiny", "name: 2024-13-45", ["not valid YAML"]),
    "null": ("duration_s: 2", "duration_s:", ["duration_s:"]),
    "list where a mapping belongs": ("edge: {hardware: edge_gpu}", "edge: [1]", ["edge:", "[1]"]),
    "mapping where a list belongs": ("devices:\n  - name: one\n", "devices:\n    name: one\n", ["devices:"]),
    "missing section": ("cell:\n  resource_blocks: 10\n  channel: {kind: fixed_snr, snr_db: 12}\n", "", ["cell: this key is required"]),
    "missing key in a union": (", snr_db: 12", "", ["cell.channel.snr_db: this key is required"]),
    "missing kind": ("kind: fixed_snr, ", "", ["cell.channel.kind: this key is required", "umi_street_canyon"]),
    "unknown kind": ("fixed_snr", "fixed_sn", ["cell.channel.kind: unknown kind", "'fixed_sn'", "Did you mean 'fixed_snr'?"]),
    "unknown arrivals": ("kind: poisson", "kind: bursts", ["devices[0].arrivals.kind:", "'bursts'", "periodic"]),
    "zero rate": ("rate_hz: 10", "rate_hz: 0", ["devices[0].arrivals.rate_hz:", "greater than 0"]),
    "unknown scheme": ("scheme: raw", "scheme: rw", ["operating_points[0].scheme:", "'rw'", "'raw'"]),
    "unknown bits": ("bits: 8", "bits: 7", ["operating_points[1].codec.bits:", "7", "4, 6, 8"]),
    "codec of another scheme": ("codec: {kind: png}", "codec: {kind: entropy}", ["operating_points[0]:", "png | jpeg | webp"]),
    "split where none belongs": ("scheme: raw,", "scheme: raw, split: stage2,", ["operating_points[0]:", "no split"]),
    "split that does not exist": ("split: stage2", "split: stage9", ["operating_points[1].split:", "'stage9'", "Choices: stage2"]),
    "unknown operating point": ("operating_point: png", "operating_point: pgn", ["devices[0].operating_point:", "'pgn'", "Did you mean 'png'?"]),
    "doubled names": ("name: feature", "name: png", ["operating_points", "doubled: png"]),
    "unknown hardware": ("raspberry_pi_4", "raspbery_pi_4", ["devices[0].hardware:", "Did you mean 'raspberry_pi_4'?"]),
    "policy and point": (ONE, f"{ONE}    policy: {{kind: oracle}}\n", ["devices[0]: say either operating_point or policy"]),
    "neither policy nor point": (ONE, "", ["devices[0]: say either operating_point or policy"]),
    "unknown policy": (ONE, policy("kind: neurosurgeonn"), ["devices[0].policy.kind: unknown kind", "'neurosurgeonn'", "Did you mean 'neurosurgeon'?", "oracle"]),
    "policy without a kind": (ONE, policy("points: [png]"), ["devices[0].policy.kind: this key is required", "early_exit"]),
    "unknown key in a policy": (ONE, policy("kind: oracle, point: [png]"), ["devices[0].policy.point: unknown key of kind 'oracle'", "'points'", "Choices: kind, objective, points"]),
    "policy over an unknown point": (ONE, policy("kind: neurosurgeon, points: [pgn]"), ["devices[0].policy: no such operating point", "'pgn'", "Did you mean 'png'?"]),
    "fixed at an unknown point": (ONE, policy("kind: fixed, point: featur"), ["devices[0].policy:", "'featur'", "Choices: png, feature"]),
    "step to an unknown point": (ONE, policy("kind: snr_threshold, steps: [{snr_min_db: 0, point: pgn}]"), ["devices[0].policy:", "'pgn'", "Did you mean 'png'?"]),
    "point listed twice": (ONE, policy("kind: oracle, points: [png, png]"), ["devices[0].policy.points: each operating point once", "['png', 'png']"]),
    "unknown objective": (ONE, policy("kind: neurosurgeon, objective: enrgy"), ["devices[0].policy.objective:", "'enrgy'", "Choices: latency, energy"]),
    "steps that fall": (ONE, policy("kind: snr_threshold, steps: [{snr_min_db: 5, point: png}, {snr_min_db: 0, point: feature}]"), ["devices[0].policy: steps must rise in snr_min_db"]),
    "no steps": (ONE, policy("kind: snr_threshold, steps: []"), ["devices[0].policy.steps: must have at least 1 item", "[]"]),
    "step beyond any SNR": (ONE, policy("kind: snr_threshold, steps: [{snr_min_db: 500, point: png}]"), ["devices[0].policy.steps[0].snr_min_db: must be less than or equal to 200 (found: 500)"]),
    "hysteresis below 0": (ONE, policy("kind: snr_threshold, hysteresis_db: -1, steps: [{snr_min_db: 5, point: png}]"), ["devices[0].policy.hysteresis_db:", "-1"]),
    "deadline policy without one": (ONE, policy("kind: deadline, points: [png]"), ["devices[0]: policy 'deadline' needs a deadline_s"]),
    "energy policy without a deadline": (ONE, policy("kind: energy_aware, budget_j: 1"), ["devices[0]: policy 'energy_aware' needs a deadline_s"]),
    "bandit without a deadline": (ONE, policy("kind: bandit"), ["devices[0]: policy 'bandit' needs a deadline_s"]),
    "deadline policy without points": (ONE, policy("kind: deadline") + LATE, ["devices[0].policy.points: this key is required"]),
    "margin beyond the deadline": (ONE, policy("kind: deadline, margin: 2, points: [png]") + LATE, ["devices[0].policy.margin: must be less than or equal to 1", "2"]),
    "energy policy without a budget": (ONE, policy("kind: energy_aware") + LATE, ["devices[0].policy.budget_j: this key is required"]),
    "bandit that forgets all": (ONE, policy("kind: bandit, forget: 1") + LATE, ["devices[0].policy.forget: must be less than 1", "1"]),
    "unknown bandit": (ONE, policy("kind: bandit, rule: tompson") + LATE, ["devices[0].policy.rule:", "'tompson'", "Did you mean 'thompson'?"]),
    "exit and then alike": (ONE, policy("kind: early_exit, exit: png, then: png"), ["devices[0].policy: exit and then must be two operating points"]),
    "too confident": (ONE, policy("kind: early_exit, exit: png, then: feature, threshold: 1.5"), ["devices[0].policy.threshold:", "1.5"]),
    "exit over the air": ("scheme: raw,", "scheme: raw, exit: true,", ["operating_points[0]: exit belongs to scheme 'local'"]),
    "model without an exit": ("devices:\n", "  - {name: quick, scheme: local, exit: true}\ndevices:\n", ["operating_points[2].exit: model 'digits_cnn' has no early exit"]),
    "custom policy without a class": (ONE, policy("kind: custom, target: nomodule"), ["devices[0].policy.target: must match", "'nomodule'"]),
    "two batteries": ("    count: 1\n", "    count: 1\n    battery_j: 5\n    battery: {capacity_j: 5}\n", ["devices[0]: say either battery_j or battery"]),
    "battery fuller than full": ("    count: 1\n", "    count: 1\n    battery: {capacity_j: 5, initial_share: 1.5}\n", ["devices[0].battery.initial_share: must be less than or equal to 1", "1.5"]),
    "battery of nothing": ("    count: 1\n", "    count: 1\n    battery: {capacity_j: 0}\n", ["devices[0].battery.capacity_j: must be greater than 0"]),
    "battery always empty": ("    count: 1\n", "    count: 1\n    battery: {capacity_j: 5, cutoff_share: 1}\n", ["devices[0].battery.cutoff_share: must be less than 1"]),
    "battery without a size": ("    count: 1\n", "    count: 1\n    battery: {harvest_w: 1}\n", ["devices[0].battery.capacity_j: this key is required"]),
    "unknown key in a battery": ("    count: 1\n", "    count: 1\n    battery: {capacity_j: 5, harvest: 1}\n", ["devices[0].battery.harvest: unknown key", "Did you mean 'harvest_w'?"]),
    "too hot to be air": ("    count: 1\n", "    count: 1\n    heat: {ambient_c: 300}\n", ["devices[0].heat.ambient_c: must be less than or equal to 100", "300"]),
    "unknown key in heat": ("    count: 1\n", "    count: 1\n    heat: {ambient: 30}\n", ["devices[0].heat.ambient: unknown key", "Did you mean 'ambient_c'?"]),
    "throttled to a stop": ("    count: 1\n", "    count: 1\n    heat: {throttled_scale: 0}\n", ["devices[0].heat.throttled_scale: must be greater than 0"]),
    "unknown frequency level": ("    count: 1\n", "    count: 1\n    dvfs: 600hz\n", ["devices[0].dvfs: no such frequency level of 'raspberry_pi_4'", "'600hz'", "Did you mean '600mhz'?"]),
    "priority beyond its range": ("    count: 1\n", "    count: 1\n    priority: 101\n", ["devices[0].priority:", "101"]),
    "unknown discipline": (EDGE, edge("discipline: edff"), ["edge.discipline:", "'edff'", "Did you mean 'edf'?"]),
    "unknown admission": (EDGE, edge("admission: {kind: dedline}"), ["edge.admission.kind: unknown kind", "'dedline'", "Choices: none, deadline, rate"]),
    "admission without a rate": (EDGE, edge("admission: {kind: rate}"), ["edge.admission.rate_hz: this key is required"]),
    "admission of nobody": (EDGE, edge("admission: {kind: rate, rate_hz: 5, burst: 0}"), ["edge.admission.burst:", "greater than or equal to 1"]),
    "scaling upside down": (EDGE, edge("scaling: {kind: queue, min_workers: 4, max_workers: 2}"), ["edge.scaling: min_workers must not exceed max_workers"]),
    "more workers than scaling has": (EDGE, edge("workers: 5, scaling: {kind: queue, max_workers: 2}"), ["edge: workers must lie between"]),
    "scaling without an end": (EDGE, edge("scaling: {kind: queue}"), ["edge.scaling.max_workers: this key is required"]),
    "unknown cloud": (EDGE, edge("cloud: {hardware: cloud_a10}"), ["edge.cloud.hardware: no such hardware", "'cloud_a10'", "Did you mean 'cloud_a100'?"]),
    "cloud of nothing": (EDGE, edge("cloud: {delay_s: 0.1}"), ["edge.cloud.hardware: this key is required"]),
    "cloud without a line": (EDGE, edge("cloud: {hardware: cloud_a100, rate_bps: 0}"), ["edge.cloud.rate_bps: must be greater than 0"]),
    "cloud in milliseconds": (EDGE, edge("cloud: {hardware: cloud_a100, delay_ms: 5}"), ["edge.cloud.delay_ms: unknown key", "Did you mean 'delay_s'?"]),
    "unknown offload": (EDGE, edge("cloud: {hardware: cloud_a100, offload: {kind: when_ful}}"), ["edge.cloud.offload.kind: unknown kind", "'when_ful'", "Did you mean 'when_full'?"]),
    "offload after refusing": (EDGE, edge("queue_capacity: 2, cloud: {hardware: cloud_a100, offload: {kind: when_full, waiting: 6}}"), ["edge: cloud.offload.waiting must not exceed queue_capacity"]),
    "report without a pause": (EDGE, edge("report: {period_s: 0}"), ["edge.report.period_s: must be greater than 0"]),
    "point of no network": ("scheme: raw,", "scheme: raw, network: net,", ["operating_points[0].network: no such network", "'net'"]),
    "point of another network": (MODEL, net("weights: random", "scheme: local, network: nett"), ["operating_points[0].network: no such network", "'nett'", "Did you mean 'net'?"]),
    "random weights that answer": (MODEL, net("weights: random, answer: label"), ["networks[0]: random weights answer nothing"]),
    "network's weights not there": (MODEL, net("weights: no.safetensors"), ["networks[0].weights: no such weights file", "'no.safetensors'"]),
    "network without weights": (MODEL, net("seed: 1"), ["networks[0].weights: this key is required"]),
    "unknown key in a network": (MODEL, net("weights: random, leafs: [a]"), ["networks[0].leafs: unknown key", "Did you mean 'leaves'?"]),
    "networks of one name": (MODEL, net("weights: random}, {name: net, source: alexnet, weights: random"), ["networks: each name once, doubled: net"]),
    "unknown answer": (MODEL, net("weights: random, answer: boxes"), ["networks[0].answer:", "'boxes'", "Choices: label, segmentation"]),
    "answer of another data set": (MODEL, net("weights: s.yaml, answer: segmentation"), ["networks[0].answer: an answer of kind 'segmentation' is held against 'segmentation'; the truth of this data set: label"]),
    "analog code of any network": (MODEL, net("weights: random", "scheme: jscc, network: net, split: a"), ["operating_points[0]: a network of `networks:` has no trained JSCC"]),
    "entropy code of any network": (MODEL, net("weights: random", "scheme: separate, network: net, split: a, codec: {kind: entropy}"), ["operating_points[0]: a network of `networks:` has no trained"]),
    "network without a cut": (MODEL, net("weights: random", "scheme: separate, network: net, codec: {kind: tensor}"), ["operating_points[0]: scheme 'separate' of a network needs a split, or every"]),
    "exit of any network": (MODEL, net("weights: random", "scheme: local, network: net, exit: true"), ["operating_points[0]: exit belongs to", "scenario's model only"]),
    "unknown type of tensors": (MODEL, net("weights: random", "scheme: separate, network: net, split: a, codec: {kind: tensor, dtype: int8}"), ["operating_points[0].codec.dtype:", "'int8'", "float32, float16, uint8"]),
    "tensors of the model": ("codec: {kind: entropy, bits: 8}", "codec: {kind: tensor}", ["operating_points[1]: codec 'tensor' and split 'every' need a network"]),
    "every cut of the model": ("split: stage2", "split: every", ["operating_points[1]:", "split 'every' need a network"]),
    "no model for its points": ("model: digits_cnn", "model: null", ["model: operating points without a network need a model"]),
    "hardware outside the folder": ("raspberry_pi_4", "../../secret", ["devices[0].hardware:", "../../secret"]),
    "server as a device": ("raspberry_pi_4", "edge_gpu", ["devices[0].hardware:", "no radio"]),
    "unknown server": ("edge_gpu", "edge_gpuu", ["edge.hardware:", "'edge_gpu'"]),
    "unknown model": ("digits_cnn", "digits_cn", ["model:", "Did you mean 'digits_cnn'?"]),
    "missing weights": ("digits_cnn", "untrained", ["model:", "simsplit train models/untrained/recipe.yaml"]),
    "data set of another model": ("dataset: digits", "dataset: streets", ["task.dataset:", "'streets'", "Choices: digits"]),
    "unknown data set": ("dataset: digits", "dataset: digit", ["task.dataset:", "'digit'", "'digits'"]),
    "trace that is not there": ("{kind: poisson, rate_hz: 10}", "{kind: trace, file: no.csv}", ["devices[0].arrivals.file:", "'no.csv'"]),
    "trace that is a folder": ("{kind: poisson, rate_hz: 10}", "{kind: trace, file: .}", ["devices[0].arrivals.file:"]),
    "ring inside out": ("    count: 1", "    count: 1\n    distance_min_m: 500", ["devices[0]:", "distance_max_m"]),
    "warm-up longer than the run": ("seed: 1", "warmup_s: 9", ["warmup_s must be shorter"]),
    "key said twice": ("seed: 1", "seed: 1\nseed: 2", ["'seed' is said twice", "line 3"]),
    "syntax": ("codec: {kind: png}}", "codec: {kind: png}", ["not valid YAML", "line"]),
    "tab": ("  resource_blocks", "\tresource_blocks", ["not valid YAML", "line 16"]),
    "Python object": ("name: tiny", "name: !!python/object/apply:os.system [id]", ["not valid YAML", "line 1"]),
    "alias to nothing": ("name: tiny", "name: *nothing", ["nothing"]),
    "key that is no text": ("seed: 1", "1: 1", ["1"]),
    "key that is a list": ("seed: 1", "[a]: 1", ["not valid YAML"]),
}

# What is found only when networks and hardware are opened: `run` says so before anything is simulated.
AT_RUN: dict[str, tuple[str, str, list[str]]] = {
    "unknown network": (MODEL, net("weights: random", source="alexnett"), ["networks.net.source:", "'alexnett'", "Did you mean 'alexnet'?"]),
    "own network not there": (MODEL, net("weights: random", source="no.such:Net"), ["networks.net.source:", "cannot be imported", "'no.such:Net'"]),
    "picture too small": (MODEL, net("weights: random"), ["networks.net", "does not take an input of 1 x 3 x 8 x 8"]),
    "unknown option": (MODEL, net("weights: random, options: {depth: 5}"), ["networks.net.options", "depth"]),
    "unknown leaf": (MODEL, net("weights: random, leaves: [featurs]", source=SMALL), ["networks.net.leaves: no such submodule", "'featurs'", "Choices: conv1"]),
    "unknown cut": (MODEL, net("weights: random", "scheme: separate, network: net, split: maxpol, codec: {kind: tensor}", SMALL), ["operating_points.p.split: no such cut", "'maxpol'", "Did you mean 'maxpool'?"]),
    "tiles of a vector": (MODEL, net("weights: random", "scheme: separate, network: net, split: mean, codec: {kind: png_tiles}", SMALL), ["operating_points.p.codec: codec 'png_tiles' needs one (C, h, w) at the cut", "1024"]),
    "exit that is sent": (ONE, policy("kind: early_exit, exit: png, then: feature"), ["devices[0].policy.exit: no such operating point with exit: true", "'png'"]),
    "exit that knows no confidence": (ONE + "    arrivals:", policy("kind: early_exit, exit: own, then: feature") + "    arrivals:", ["devices[0].policy.exit: no such operating point with exit: true", "'own'"]),
    "custom policy not there": (ONE, policy("kind: custom, target: 'no_module:Policy'"), ["devices.one.policy.target:", "cannot be imported", "'no_module:Policy'"]),
    "custom policy's class not there": (ONE, policy("kind: custom, target: 'json:Policy'"), ["devices.one.policy.target:", "'Policy'"]),
    "cools below what it heats to": ("    count: 1\n", "    count: 1\n    heat: {throttle_at_c: 60, resume_at_c: 70}\n", ["devices.one.heat", "resume_at_c must lie below throttle_at_c, 60", "70"]),
    "heat of unknown hardware": ("    count: 1\n    hardware: raspberry_pi_4\n", "    count: 1\n    heat: {ambient_c: 30}\n    hardware: cpu_core\n", ["devices.one.heat.resistance_k_per_w:", "hardware file says nothing of heat"]),
}
# fmt: on

FILES: dict[str, tuple[bytes, list[str]]] = {
    "empty": (b"", ["empty"]),
    "only a comment": (b"# nothing\n", ["empty"]),
    "a list": (b"- 1\n", ["mapping"]),
    "a word": (b"hello\n", ["mapping", "hello"]),
    "two documents": (b"a: 1\n---\nb: 2\n", ["not valid YAML"]),
    "10 MB": (b"# " + b"x" * 10_000_000, ["larger than 1000000 bytes", "10000002"]),
    "not UTF-8": (b"name: \xff\xfe\n", ["UTF-8"]),
    "control characters": (b"name: \x00\x01\n", ["not valid YAML"]),
    "too deep": (b"a: " + b"[" * 5000, ["nested too deep"]),
    "alias bomb": (BOMB.encode(), ["too many values"]),
    "many aliases": (b"a: &a 1\nb: [" + b"*a, " * 60 + b"]\n", ["too many aliases"]),
    "alias inside itself": (b"a: &a [*a]\n", ["alias"]),
}


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, one trained and one untrained model."""
    models, work = tmp_path / "models", tmp_path / "work"
    work.mkdir()
    for name in ("digits_cnn", "untrained"):
        (models / name).mkdir(parents=True)
        (models / name / "recipe.yaml").write_text("dataset: digits\n")
    (models / "digits_cnn" / "weights.safetensors").touch()
    monkeypatch.setattr(bundled, "models_dir", lambda: models)
    monkeypatch.chdir(work)
    return work


def _changed(old: str, new: str) -> str:
    assert old in BASE, f"the test is stale: {old}"
    return BASE.replace(old, new)


def _refused(path: Path, texts: list[str]) -> None:
    with pytest.raises(SimsplitError) as caught:
        loading.load(path)
    message = str(caught.value)
    assert all(text in message for text in texts), message
    assert len(message) < 1500


def test_the_base_is_good(somewhere: Path) -> None:
    (somewhere / "s.yaml").write_text(BASE)
    assert loading.load(somewhere / "s.yaml").name == "tiny"


@pytest.mark.parametrize("case", CHANGES)
def test_a_change_for_the_worse(case: str, somewhere: Path) -> None:
    old, new, texts = CHANGES[case]
    (somewhere / "s.yaml").write_text(_changed(old, new))
    _refused(somewhere / "s.yaml", texts)


@pytest.mark.parametrize("case", FILES)
def test_a_bad_file(case: str, somewhere: Path) -> None:
    content, texts = FILES[case]
    (somewhere / "s.yaml").write_bytes(content)
    _refused(somewhere / "s.yaml", texts)


def test_bad_places(somewhere: Path) -> None:
    _refused(somewhere / "none.yaml", ["no such scenario file", "none.yaml", "urban_5g"])
    _refused(somewhere, ["directory"])
    _refused(Path("urban_5"), ["Did you mean 'urban_5g'?"])
    _refused(Path("x" * 5000), ["not a path"])
    _refused(Path("x" * 1000), ["x"])


@pytest.mark.parametrize("verb", ["run", "check"])
@pytest.mark.parametrize("case", [*CHANGES, *FILES])
def test_the_command_line_says_so_and_writes_nothing(verb: str, case: str, somewhere: Path) -> None:
    content = FILES[case][0] if case in FILES else _changed(*CHANGES[case][:2]).encode()
    texts = FILES[case][1] if case in FILES else CHANGES[case][2]
    (somewhere / "s.yaml").write_bytes(content)
    result = CliRunner().invoke(app, [verb, "s.yaml", "--json"])
    assert result.exit_code == 2
    assert all(text in result.stderr for text in texts), result.stderr
    assert "Traceback" not in result.output and not result.stdout
    assert [path.name for path in somewhere.iterdir()] == ["s.yaml"]


@pytest.mark.parametrize("case", AT_RUN)
def test_what_opening_networks_and_hardware_finds(
    case: str, somewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundled, "models_dir", MODELS_DIR)
    text = _changed(*AT_RUN[case][:2]).replace("devices:", f"  - {OWN}\ndevices:", 1)
    (somewhere / "s.yaml").write_text(text)
    result = CliRunner().invoke(app, ["run", "s.yaml", "--json", "--allow-code"])
    assert result.exit_code == 2, result.output
    assert all(text in result.stderr for text in AT_RUN[case][2]), result.stderr
    assert "Traceback" not in result.output and not result.stdout
    assert [path.name for path in somewhere.iterdir()] == ["s.yaml"]


KEYS = ("seed", "count", "hardware")


def test_one_mistake_is_counted_once(somewhere: Path) -> None:
    """A list whose only entry failed is not too short as well."""
    (somewhere / "s.yaml").write_text(_changed("    count: 1", "    count: 0"))
    with pytest.raises(SimsplitError) as caught:
        loading.load(somewhere / "s.yaml")
    assert "mistakes" not in str(caught.value)


def test_all_mistakes_are_told_with_their_lines(somewhere: Path) -> None:
    bad = _changed("    count: 1", "    count: 0").replace("seed: 1", "seed: -1")
    bad = bad.replace("hardware: raspberry_pi_4", "hardware: no_such")
    (somewhere / "s.yaml").write_text(bad)
    lines = bad.splitlines()
    at = {key: 1 + next(i for i, line in enumerate(lines) if key in line) for key in KEYS}
    with pytest.raises(Mistakes) as caught:
        loading.load(somewhere / "s.yaml")
    text = str(caught.value)
    assert text.startswith("3 mistakes\n")
    assert f"s.yaml:{at['seed']}: seed: must be" in text
    assert f"s.yaml:{at['count']}: devices[0].count: must be" in text
    assert f"s.yaml:{at['hardware']}: devices[0].hardware: no such hardware" in text


def test_a_list_of_choices_is_told_once(somewhere: Path) -> None:
    """A device and the edge with hardware that there is not: one list of all there is."""
    bad = _changed("hardware: raspberry_pi_4", "hardware: raspbery_pi_4")
    bad = bad.replace("hardware: edge_gpu", "hardware: edge_gpuu")
    (somewhere / "s.yaml").write_text(bad)
    with pytest.raises(Mistakes) as caught:
        loading.load(somewhere / "s.yaml")
    text = str(caught.value)
    assert len(caught.value.mistakes) > 1
    assert text.count("jetson_nano") == 1
    assert text.count("Choices: as above") == len(caught.value.mistakes) - 1
    assert "Did you mean 'raspberry_pi_4'?" in text and "Did you mean 'edge_gpu'?" in text


def test_the_cross_checks_do_not_hide_each_other(somewhere: Path) -> None:
    (somewhere / "s.yaml").write_text(_changed("operating_point: png", "operating_point: pgn"))
    with pytest.raises(Mistakes) as caught:
        loading.load(somewhere / "s.yaml", overrides=["task.dataset=streets"])
    paths = {one.path for one in caught.value.mistakes}
    assert {"devices[0].operating_point", "task.dataset"} <= paths


def test_what_an_override_says_has_no_line(somewhere: Path) -> None:
    (somewhere / "s.yaml").write_text(BASE)
    with pytest.raises(SimsplitError) as caught:
        loading.load(somewhere / "s.yaml", overrides=["seed=-1"])
    assert str(caught.value).startswith("seed: must be")


def test_the_installed_command(somewhere: Path) -> None:
    (somewhere / "s.yaml").write_text(_changed("snr_db: 12", "snr: 12"))
    command = [sys.executable, "-c", "from simsplit.cli import main; main()", "run", "s.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=somewhere, timeout=300)
    assert done.returncode == 2
    assert "cell.channel.snr: unknown key" in done.stderr
    assert "Traceback" not in done.stderr and not done.stdout
    assert [path.name for path in somewhere.iterdir()] == ["s.yaml"]
