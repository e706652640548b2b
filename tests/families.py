"""Open one network of every family, with random weights, and say what was left out of each and why.

    python tests/families.py [PATTERN ...] [--build N]

Prints one line a network. Ends with 1 if one ended in a traceback, or was opened although a check of its
trial had failed. `--build N` also builds
N of those that opened with three pictures and default options, as many at a time as there are processors:
those in BUILT first, which are of every kind and small where a kind has small members, then others.
"""

from __future__ import annotations

import argparse
import fnmatch
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import torch

from generator.errors import CutawayError
from generator.exhibit import ModelSpec
from generator.models.compat import repair_torchvision
from generator.models.load import load_model
from generator.models.model import VisionModel

TIMM = [
    "beit_base_patch16_224",
    "botnet26t_256",
    "eca_halonext26ts",
    "lambda_resnet26rpt_256",
    "bat_resnext26ts",
    "gcresnext26ts",
    "mobileone_s0",
    "repvgg_a0",
    "cait_xxs24_224",
    "coat_lite_tiny",
    "coat_tiny",
    "convit_tiny",
    "convmixer_768_32",
    "convnext_atto",
    "convnextv2_atto",
    "crossvit_tiny_240",
    "csatv2",
    "cs3darknet_focus_s",
    "cspnext_tiny",
    "davit_tiny",
    "deit_tiny_distilled_patch16_224",
    "deit3_small_patch16_224",
    "densenet121",
    "dla46_c",
    "dpn48b",
    "edgenext_xx_small",
    "efficientformer_l1",
    "efficientformerv2_s0",
    "test_efficientnet",
    "test_efficientnet_gn",
    "test_efficientnet_ln",
    "test_efficientnet_evos",
    "tf_efficientnet_lite0",
    "efficientvim_m1",
    "efficientvit_b0",
    "efficientvit_m0",
    "eva02_tiny_patch14_224",
    "vit_tiny_patch16_dinov3_qkvb",
    "vit_small_patch16_dinov3",
    "fasternet_t0",
    "fastvit_t8",
    "focalnet_tiny_srf",
    "gcvit_xxtiny",
    "ghostnet_050",
    "ghostnetv2_100",
    "hardcorenas_a",
    "hgnetv2_b0",
    "hiera_tiny_224",
    "hrnet_w18_small",
    "iformer_t",
    "inception_next_atto",
    "inception_v3",
    "inception_v4",
    "lcnetv2_small",
    "levit_128s",
    "levit_conv_128s",
    "lowformer_b0",
    "mambaout_femto",
    "test_mambaout",
    "coatnet_pico_rw_224",
    "coatnext_nano_rw_224",
    "maxvit_rmlp_pico_rw_256",
    "maxxvit_rmlp_nano_rw_256",
    "caformer_s18",
    "convformer_s18",
    "poolformer_s12",
    "poolformerv2_s12",
    "gmixer_24_224",
    "gmlp_s16_224",
    "mixer_s32_224",
    "resmlp_12_224",
    "fbnetv3_b",
    "lcnet_035",
    "mobilenetv3_small_050",
    "mobilenetv4_conv_small_050",
    "mobilenetv4_hybrid_medium",
    "mobilevit_xxs",
    "mobilevitv2_050",
    "mvitv2_tiny",
    "naflexvit_base_patch16_gap",
    "nest_tiny_jx",
    "nextvit_small",
    "nf_resnet26",
    "test_nfnet",
    "pit_ti_224",
    "pit_ti_distilled_224",
    "pvt_v2_b0",
    "pvt_v2_b2_li",
    "rdnet_tiny",
    "regnetx_002",
    "regnety_002",
    "repghostnet_050",
    "repvit_m0_9",
    "res2net50_26w_4s",
    "resnest14d",
    "resnet10t",
    "resnet18",
    "ecaresnet26t",
    "resnetv2_18",
    "resnetv2_50x1_bit",
    "rexnet_100",
    "selecsls42",
    "legacy_seresnet18",
    "sequencer2d_s",
    "shvit_s1",
    "skresnet18",
    "starnet_s050",
    "swiftformer_xs",
    "swin_tiny_patch4_window7_224",
    "swin_s3_tiny_224",
    "swinv2_tiny_window8_256",
    "swinv2_cr_tiny_224",
    "tiny_vit_5m_224",
    "tnt_s_patch16_224",
    "tresnet_m",
    "twins_pcpvt_small",
    "twins_svt_small",
    "vgg11",
    "visformer_tiny",
    "vit_tiny_patch16_224",
    "test_vit",
    "test_vit2",
    "test_vit3",
    "test_vit4",
    "vit_base_patch16_siglip_224",
    "vit_tiny_r_s16_p8_224",
    "vit_relpos_small_patch16_224",
    "test_vit_relpos",
    "samvit_base_patch16_224",
    "vitamin_small_224",
    "volo_d1_224",
    "ese_vovnet19b_slim",
    "xception41",
    "xcit_nano_12_p16_224",
]
TORCHVISION = [
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "inception_v3",
    "maxvit_t",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_x_400mf",
    "regnet_y_400mf",
    "resnet18",
    "resnext50_32x4d",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "swin_t",
    "swin_v2_t",
    "vgg11_bn",
    "vit_b_32",
    "fcn_resnet50",
    "fasterrcnn_resnet50_fpn",
    "r3d_18",
    "raft_small",
    "quantized_resnet18",
]
_TOKENS = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "image_size": 64,
    "patch_size": 8,
    "num_labels": 5,
}
_SIDE = {"image_size": 64, "num_labels": 5}
_SHALLOW = {"depths": [1, 1, 1, 1], "num_labels": 5}
_WINDOWS = {"embed_dim": 16, "depths": [1, 1], "num_heads": [2, 4], "window_size": 4}
_THINNER = {"width_coefficient": 0.5, "depth_coefficient": 0.3}
_MOBILE = {"hidden_sizes": [24, 32, 40], "neck_hidden_sizes": [8, 8, 16, 16, 24, 32, 64]}
# Of every kind of network one that is built to its end: with class tokens and without, in windows, over
# channels, with large kernels, gates, mixtures of both; two of base size.
BUILT = (
    "transformers:dinov2_registers",
    "transformers:mobilevit",
    "transformers:swinv2",
    "transformers:segformer",
    "transformers:convnextv2",
    "transformers:levit",
    "timm:test_vit",
    "timm:test_nfnet",
    "timm:test_efficientnet_evos",
    "torchvision:squeezenet1_1",
    "timm:resnet10t",
    "timm:mobilenetv4_conv_small_050",
    "timm:ghostnet_050",
    "timm:convnext_atto",
    "timm:mambaout_femto",
    "timm:pit_ti_224",
    "timm:eva02_tiny_patch14_224",
    "timm:cait_xxs24_224",
    "timm:coat_lite_tiny",
    "timm:xcit_nano_12_p16_224",
    "timm:resmlp_12_224",
    "timm:efficientvit_m0",
    "timm:swin_tiny_patch4_window7_224",
    "timm:botnet26t_256",
    "timm:beit_base_patch16_224",
)
# The start of the name of a class and of its configuration, and what makes it small: pictures of 64 px.
TRANSFORMERS: dict[str, tuple[str, dict[str, Any]]] = {
    "beit": ("Beit", _TOKENS),
    "bit": ("Bit", _SHALLOW),
    "convnext": ("ConvNext", _SHALLOW),
    "convnextv2": ("ConvNextV2", _SHALLOW),
    "cvt": ("Cvt", {"depth": [1, 2, 3], "num_labels": 5}),
    "data2vec": ("Data2VecVision", _TOKENS),
    "deit": ("DeiT", _TOKENS),
    "dinov2": ("Dinov2", _TOKENS),
    "dinov2_registers": ("Dinov2WithRegisters", _TOKENS),
    "efficientnet": ("EfficientNet", _SIDE | _THINNER | {"hidden_dim": 640}),
    "focalnet": ("FocalNet", _SIDE | _SHALLOW | {"embed_dim": 24}),
    "hiera": ("Hiera", _SHALLOW | {"image_size": [64, 64], "embed_dim": 24}),
    "ijepa": ("IJepa", _TOKENS),
    "levit": ("Levit", _SIDE),
    "mobilenet_v1": ("MobileNetV1", _SIDE | {"depth_multiplier": 0.25}),
    "mobilenet_v2": ("MobileNetV2", _SIDE | {"depth_multiplier": 0.35}),
    "mobilevit": ("MobileViT", _SIDE | _MOBILE),
    "mobilevitv2": ("MobileViTV2", _SIDE | {"width_multiplier": 0.5}),
    "poolformer": ("PoolFormer", _SHALLOW),
    "pvt": ("Pvt", _SIDE | _SHALLOW),
    "pvt_v2": ("PvtV2", _SIDE | _SHALLOW),
    "regnet": ("RegNet", _SHALLOW),
    "resnet": ("ResNet", _SHALLOW),
    "segformer": ("Segformer", _SIDE | _SHALLOW),
    "siglip": ("Siglip", {"vision_config": _TOKENS, "num_labels": 5}),
    "swiftformer": ("SwiftFormer", _SIDE | _SHALLOW),
    "swin": ("Swin", _SIDE | _WINDOWS),
    "swinv2": ("Swinv2", _SIDE | _WINDOWS),
    "vit": ("ViT", _TOKENS),
    "vit_msn": ("ViTMSN", _TOKENS),
}


def names() -> list[str]:
    """Every network of the list, as `library:name`."""
    return [
        *(f"timm:{name}" for name in TIMM),
        *(f"torchvision:{name}" for name in TORCHVISION),
        *(f"transformers:{name}" for name in TRANSFORMERS),
    ]


def open_network(name: str, folder: Path) -> VisionModel:
    """A network of the list with random weights. `folder` is an empty one."""
    library, _, short = name.partition(":")
    spec = ModelSpec(id=short.replace("_", "-"), source=name, weights="random")
    if library == "transformers":
        save_transformer(short, folder)
        spec = ModelSpec(id=short.replace("_", "-"), source=str(folder))
    model = load_model(spec, folder, folder)
    assert isinstance(model, VisionModel)
    return model


def save_transformer(name: str, folder: Path) -> None:
    """Save a small network of transformers as its users save theirs."""
    repair_torchvision()
    import transformers

    start, settings = TRANSFORMERS[name]
    torch.manual_seed(0)
    config = getattr(transformers, f"{start}Config")(**settings)
    made = getattr(transformers, f"{start}ForImageClassification")(config)
    made.save_pretrained(folder)
    side = {"height": 64, "width": 64}
    stated = {"size": side, "crop_size": side, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(stated), encoding="utf-8")


def said_of(model: VisionModel) -> str:
    """What was opened of a network, and what was left out with which reason, on one line."""
    blocks = sum(layer.kind == "block" for layer in model.layers)
    maps = sum(len(layer.shape) == 3 for layer in model.layers)
    parts = [f"{len(model.layers)} layers ({maps} maps, {blocks} blocks)"]
    if model.attention is not None:
        parts.append(f"{len(model.attention.blocks)} x {model.attention.heads} heads")
    if model.no_attention:
        parts.append(f"no heads: {model.no_attention}")
    if not model.batched:
        parts.append("read picture by picture")
    for reason, count in Counter(part.reason for part in model.left_out).items():
        parts.append(f"{count} left out: {reason}")
    return "; ".join(parts)


def problems_of(model: VisionModel) -> list[str]:
    """Checks that failed on a network that was opened all the same."""
    return [f"{check.name} failed: {check.says}" for check in model.trial if not check.passed]


def survey(chosen: list[str]) -> Iterator[tuple[str, str, bool]]:
    """The name, what is said of it, and whether it was opened, of each network. Raises nothing."""
    for name in chosen:
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            try:
                model = open_network(name, Path(folder))
                problems = problems_of(model)
                outcome = "FAILED" if problems else "open"
                text = "; ".join(problems) or said_of(model)
                del model
            except CutawayError as error:
                outcome, text = "refused", f"{error} {error.hint}".strip()
            except Exception:
                outcome, text = "TRACEBACK", traceback.format_exc()
        gc.collect()
        yield (
            name,
            f"{outcome:9} {name} {time.monotonic() - started:.1f} s: {text}",
            outcome == "open",
        )


def build(name: str, images: Path) -> int:
    """Build the site of one network with three pictures by default options, and print how; 1 if it failed.

    It fails with a traceback or an error, and where a check of its trial that failed was published.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, weights = name, "random"
        if name.startswith("transformers:"):
            save_transformer(name.partition(":")[2], Path(folder) / "net")
            source, weights = str(Path(folder) / "net"), "pretrained"
        words = ["build", "--model", source, "--weights", weights, "--images", str(images)]
        words += ["--out", str(Path(folder) / "out"), "--jobs", "1"]
        started = time.monotonic()
        done = _cutaway([*words, "--yes"])
        problems = [] if done.returncode else published_problems(Path(folder) / "out")
    seconds = time.monotonic() - started
    said = [line for line in done.stdout.splitlines() if line.startswith("total")]
    how = [f"exit {done.returncode}", *said, *problems]
    print(f"built     {name} {seconds:.0f} s: {'; '.join(how)}", flush=True)
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", flush=True)
    return int(bool(done.returncode or problems))


def published_problems(site: Path) -> list[str]:
    """What a finished site should not hold: checks that failed, and numbers or names that are none."""
    manifest = json.loads((site / "manifest.json").read_text(encoding="utf-8"))
    failed = [
        f"FAILED {check['name']}: {check['says']}"
        for model in manifest["models"]
        for check in model["checks"]
        if not check["passed"]
    ]
    pages = [page for page in site.rglob("*.html") if not page.is_relative_to(site / "guide")]
    odd = [
        f"'{word}' on {page.relative_to(site)}"
        for page in pages
        for word in (">nan<", ">None<", "Traceback (most", "NaN<")
        if word in page.read_text(encoding="utf-8")
    ]
    return [*failed, *odd]


def _cutaway(words: list[str]) -> subprocess.CompletedProcess[str]:
    code = "from generator.cli import main; main()"
    paths = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )


def main() -> int:
    """Run the survey; 1 if something failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("patterns", nargs="*", default=["*"])
    parser.add_argument("--build", type=int, default=0)
    given = parser.parse_args()
    chosen = [name for name in names() if any(fnmatch.fnmatch(name, p) for p in given.patterns)]
    opened, counts = [], Counter()
    for name, line, is_open in survey(chosen):
        print(line, flush=True)
        counts[line.split()[0]] += 1
        opened += [name] if is_open else []
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    failed = bool(counts["FAILED"] + counts["TRACEBACK"])
    with tempfile.TemporaryDirectory() as images:
        pictures(Path(images))
        with ThreadPoolExecutor(max(1, len(os.sched_getaffinity(0)))) as pool:
            built = pool.map(partial(build, images=Path(images)), to_build(opened, given.build))
            failed |= any(built)
    return int(failed)


def to_build(opened: list[str], count: int) -> list[str]:
    """`count` of the networks that opened: those in BUILT first, then others spread over the list."""
    chosen = [name for name in BUILT if name in opened][:count]
    others, missing = [name for name in opened if name not in BUILT], count - len(chosen)
    step = max(1, len(others) // missing) if missing else 1
    return [*chosen, *others[::step][:missing]]


def pictures(folder: Path) -> None:
    """Three pictures of noise and squares."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    for number in range(3):
        pixels = random.integers(0, 120, (128, 128, 3), dtype=np.uint8)
        pixels[30 : 60 + 15 * number, 40:80, number] = 230
        Image.fromarray(pixels).save(folder / f"picture{number}.png")


if __name__ == "__main__":
    sys.exit(main())
