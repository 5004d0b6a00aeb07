"""What a trained network or code is worth: its artefact, scored by its own pipeline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.torch import save_file
from scipy.stats import beta

from simsplit.files import arrays_digest, file_digest, whole_file
from simsplit.messages import Delivery, Outcome, Scheme, ScoreRequest
from simsplit.networks.artefact import write_card
from simsplit.networks.codes.artefact import CODE_SPEC, write_code
from simsplit.networks.codes.contract import AnalogCode, DigitalCode
from simsplit.networks.cuts import points
from simsplit.networks.opened import open_graph
from simsplit.operators import total_macs
from simsplit.pipeline.coded import CodeChain, network_chains
from simsplit.pipeline.pipeline import Pipeline
from simsplit.scenario.answers import answers_of
from simsplit.scenario.codes import WEIGHTS, scheme_of, start_digest
from simsplit.scenario.data import portable
from simsplit.scenario.operating_points import RANDOM, WITHOUT_FILE, Network, OperatingPoint
from simsplit.tasks.datasets import Arrays, class_counts, open_dataset
from simsplit.training.card import SNRS_DB, interval, versions
from simsplit.training.paired import differences_by_way
from simsplit.training.phases import UNTRAINED, CodeRecipe, NetworkRecipe
from simsplit.training.pooled import pooled_scores

if TYPE_CHECKING:
    from torch import Tensor, nn

    from simsplit.training.code_course import CodeCourse
    from simsplit.training.courses import NetworkCourse

LOCAL, CODED, DIRECT = "local", "coded", "direct"


def finish_network(
    course: NetworkCourse, folder: Path, ranges: Mapping[str, Arrays], facts: Mapping[str, Any]
) -> None:
    """Writes weights and card of a trained network, scored on the ranges: ``test`` at least."""
    recipe, module = course.recipe, course.parts["network"]
    with whole_file(folder / WEIGHTS) as aside:
        save_file(_stored(module, recipe.weights_dtype), aside)
    network = _kept(recipe, folder)
    card = {
        "kind": "network",
        "network": _network(recipe.network),
        "weights_digest": file_digest(folder / WEIGHTS),
        **_common(recipe, ranges, facts),
        "parameters": sum(p.numel() for p in module.parameters()),
    }
    if network.answer is not None:  # else it may be one that cannot be traced
        graph = open_graph(network, recipe.height, recipe.width)
        card["macs"] = {"network": total_macs(graph.operators)}
    write_card(folder, card | measured_network(recipe, folder, ranges))


def measured_network(
    recipe: NetworkRecipe, folder: Path, ranges: Mapping[str, Arrays]
) -> dict[str, Any]:
    """What a card says of scores, of the network whose weights lie in the folder."""
    network, classes = _kept(recipe, folder), _classes(recipe)
    each = {name: {DIRECT: _direct(network, arrays, classes)} for name, arrays in ranges.items()}
    return _sections(each, network, recipe)


def _kept(recipe: NetworkRecipe, folder: Path) -> Network:
    """The network with the weights that its training left."""
    whole = {"weights": str((folder / WEIGHTS).resolve())}
    apart = dict.fromkeys(("weights_key", "weights_prefix", "weights_fresh"))
    return recipe.network.model_copy(update=whole | apart)


def _stored(module: nn.Module, dtype: str) -> dict[str, Tensor]:
    """The network's tensors as its file holds them; whole numbers stay whole."""
    tensors = {k: v.detach().contiguous().clone() for k, v in module.state_dict().items()}
    if dtype == "float32":
        return tensors
    return {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}


def finish_code(
    course: CodeCourse, folder: Path, ranges: Mapping[str, Arrays], facts: Mapping[str, Any]
) -> None:
    """Writes weights and card of a trained code, scored on the ranges: ``test`` at least."""
    recipe, code = course.recipe, course.code
    changed = {part: course.parts[part] for part in course.changed}
    digest = write_code(folder, changed, recipe.weights_dtype)
    encoder, decoder = code.operators()
    nested = isinstance(code, AnalogCode) and code.is_nested
    macs = {"encode": total_macs(encoder), "decode": total_macs(decoder)}
    card = {
        "kind": "code",
        "code": CODE_SPEC.dump_python(recipe.code, mode="json"),
        "scheme": code.scheme.value,
        "nested": nested,
        "cut": recipe.cut,
        "shape": list(code.shape),
        **_further_on(course),
        "network": _network(recipe.network),
        "network_digest": start_digest(recipe.network),
        "changed": list(course.changed),
        "weights_digest": digest,
        **_common(recipe, ranges, facts),
        "parameters": sum(p.numel() for p in code.parameters()),
        "macs": macs | _network_macs(course),
    }
    write_card(folder, card)
    write_card(folder, card | measured_code(recipe, folder, ranges))


def measured_code(recipe: CodeRecipe, folder: Path, ranges: Mapping[str, Arrays]) -> dict[str, Any]:
    """What a card says of payloads and scores, of the code that lies in the folder."""
    pipelines = {name: _opened(recipe, folder, arrays) for name, arrays in ranges.items()}
    each = {name: _scores(pipeline) for name, pipeline in pipelines.items()}
    paired = differences_by_way(each, answers_of(recipe.network.answer), DIRECT)
    return _rate(pipelines["test"]) | _sections(each, recipe.network, recipe) | paired


def _further_on(course: CodeCourse) -> dict[str, Any]:
    """Where the decoder leads to, if that is not the cut, and which code's weights it began with.

    Cards of codes that do neither hold nothing of it.
    """
    facts: dict[str, Any] = {}
    if course.features.reaches:
        facts |= {"until": course.recipe.until, "until_shape": list(course.code.given_shape)}
    if course.start is not None:
        start = course.start
        facts["started_from"] = {"code": start.name, "weights_digest": start.weights_digest}
    return facts


def _network_macs(course: CodeCourse) -> dict[str, float]:
    """Of a decoder that leads further on: what it stands in for, and the network around it."""
    if not course.features.reaches:
        return {}
    cuts = {point.name: point for point in points(course.graph)}
    cut, behind = cuts[course.recipe.cut], cuts[course.recipe.behind]
    replaced = cut.tail_macs - behind.tail_macs
    return {"head": cut.head_macs, "replaced": replaced, "tail": behind.tail_macs}


def _network(network: Network) -> dict[str, Any]:
    """As a card remembers it: weights by digest, no paths."""
    content = network.model_dump(mode="json", exclude={"name"})
    if content["weights"] == UNTRAINED:
        content["weights"] = RANDOM
    elif content["weights"] not in WITHOUT_FILE:
        content["weights"] = file_digest(Path(content["weights"]))
    return content


def _common(
    recipe: NetworkRecipe | CodeRecipe, ranges: Mapping[str, Arrays], facts: Mapping[str, Any]
) -> dict[str, Any]:
    seconds, test = float(facts["seconds"]), ranges["test"]
    counts = {f"{name}_images": len(arrays["image"]) for name, arrays in ranges.items()}
    learned = {"log_variance": facts["log_variance"]} if facts["log_variance"] else {}
    return {
        "data": portable(recipe.data),
        "data_digest": arrays_digest(test),
        "height": recipe.height,
        "width": recipe.width,
        **counts,
        "seed": recipe.seed,
        "recipe_digest": facts["recipe_digest"],
        "trained": {
            "steps": facts["steps"],
            "minutes": round(seconds / 60.0, 2),
            "threads": facts["threads"],
            "device": facts["device"],
            **learned,
        },
        **({"beginning": facts["beginning"]} if facts.get("beginning") else {}),
        "versions": versions(),
    }


def _opened(recipe: CodeRecipe, folder: Path, test: Arrays) -> Pipeline:
    """The pipeline of the code just written, over the test pictures."""
    at = folder.resolve()
    said = {"network": recipe.network.name, "code": str(at), "split": recipe.cut}
    scheme = scheme_of(recipe.code)
    point = OperatingPoint.model_validate({"name": CODED, "scheme": scheme, **said})
    points = (point, _local(recipe.network))
    chains = network_chains(recipe.network, points, test, classes=_classes(recipe))
    return Pipeline(chains, seed=recipe.seed)


def _local(network: Network) -> OperatingPoint:
    content = {"name": LOCAL, "network": network.name, "scheme": Scheme.LOCAL}
    return OperatingPoint.model_validate(content)


def _classes(recipe: NetworkRecipe | CodeRecipe) -> dict[str, int]:
    return class_counts(recipe.data, recipe.height, recipe.width)


def _direct(network: Network, truth: Arrays, classes: Mapping[str, int]) -> list[Outcome]:
    """Of the whole network on the pictures themselves; empty without an answer."""
    if network.answer is None:
        return []
    pipeline = Pipeline(network_chains(network, [_local(network)], truth, classes=classes), seed=0)
    return _outcomes(pipeline, LOCAL, _intact(len(truth["image"])))


def _intact(count: int) -> list[Delivery]:
    return [Delivery(i, True) for i in range(count)]


def _outcomes(pipeline: Pipeline, point: str, deliveries: Sequence[Delivery]) -> list[Outcome]:
    requests = [ScoreRequest(point, i, delivery) for i, delivery in enumerate(deliveries)]
    return pipeline.score(requests)


def _sections(
    ranges: Mapping[str, Mapping[str, Sequence[Outcome]]],
    network: Network,
    recipe: NetworkRecipe | CodeRecipe,
) -> dict[str, Any]:
    """``scores`` and ``pooled`` of the test range; of others with the range's name behind.

    Args:
        ranges: Outcomes of every picture by range, and by the way to the tail.
        network: With the answers that they are of.
        recipe: Whose data set names the classes.
    """
    data = open_dataset(recipe.data, "test", height=recipe.height, width=recipe.width)
    sections: dict[str, Any] = {}
    for name, ways in ranges.items():
        ending = "" if name == "test" else f"_{name}"
        known = {way: outcomes for way, outcomes in ways.items() if outcomes}
        sections[f"scores{ending}"] = {way: _summary(each) for way, each in known.items()}
        answers = answers_of(network.answer)
        pooled = {way: pooled_scores(answers, each, data.heads) for way, each in known.items()}
        if any(pooled.values()):
            sections[f"pooled{ending}"] = pooled
    return sections


def _summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Scores of single pictures, their mean and its interval."""
    rows = [outcome.as_dict() for outcome in outcomes]
    return {name: scored([row[name] for row in rows]) for name in rows[0]}


def scored(values: Sequence[float]) -> dict[str, float]:
    """Mean of a score over the test pictures, with its 95 % interval.

    Of answers that are right or wrong (0 or 1) ``low_95`` and ``high_95`` after Clopper and Pearson
    (Biometrika 26, 1934): all of n right do not make it certain. Of other scores ``half_width_95``
    of the normal approximation (`simsplit.training.card.interval`).
    """
    known = [value for value in values if not math.isnan(value)]
    if not known or not set(known) <= {0.0, 1.0}:
        return interval(values)
    right, n = int(sum(known)), len(known)
    low = float(beta.ppf(0.025, right, n - right + 1)) if right else 0.0
    high = float(beta.ppf(0.975, right + 1, n - right)) if right < n else 1.0
    return {"mean": round(right / n, 4), "low_95": round(low, 4), "high_95": round(high, 4)}


def _rate(pipeline: Pipeline) -> dict[str, Any]:
    """Symbols of a transmission; or real bytes of a payload against -log2 p of its symbols."""
    chain, code = pipeline.chains[CODED], _code(pipeline)
    assert isinstance(chain, CodeChain)
    if isinstance(code, AnalogCode):
        source = int(np.prod(code.shape))
        return {"channel_uses": code.symbol_count, "source_values": source}
    bits = pipeline.prepared(CODED).payload_bits
    information = np.array([code.information_bits(row) for row in chain.encoded()])
    rate: dict[str, Any] = {
        "payload_bits": interval(map(float, bits)),
        "payload_bytes": interval(map(float, bits / 8)),
    }
    if code.header_bytes is not None:
        rate["header_bytes"] = code.header_bytes
    if np.isfinite(information).all() and information.sum() > 0:
        ratio = float(bits.sum() / information.sum())
        rate |= {"information_bits": interval(information), "payload_over_information": ratio}
    return rate


def _code(pipeline: Pipeline) -> DigitalCode | AnalogCode:
    chain = pipeline.chains[CODED]
    assert isinstance(chain, CodeChain)
    return chain.trained.code


def _scores(pipeline: Pipeline) -> dict[str, Sequence[Outcome]]:
    """The network without the code, and with it: as bytes, or at several SNRs over AWGN."""
    network, code = pipeline.chains[LOCAL].network, _code(pipeline)
    if not network.is_scored:
        return {}
    count = network.samples
    ways: dict[str, Sequence[Outcome]] = {DIRECT: _outcomes(pipeline, LOCAL, _intact(count))}
    if isinstance(code, DigitalCode):
        return ways | {CODED: _outcomes(pipeline, CODED, _intact(count))}
    for snr_db in SNRS_DB:
        sent = [_awgn(i, code.symbol_count, snr_db) for i in range(count)]
        ways[f"jscc_{snr_db}_db"] = _outcomes(pipeline, CODED, sent)
    return ways


def _awgn(request: int, symbols: int, snr_db: float) -> Delivery:
    return Delivery(request, True, symbol_counts=(symbols,), symbol_snr_db=(float(snr_db),))
