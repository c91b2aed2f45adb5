"""The head that Vitrail chooses against scikit-learn's LogisticRegression, same features, split and test images.

    python -m benchmarks.heads_against_sklearn

scikit-learn's C is chosen by val NLL on the same val from 1e-6 to 100, and refitted on train + val, on standardised
features. Needs the images and weights in ../shared. Writes benchmarks/heads_against_sklearn.md.
"""

import time
from pathlib import Path

import numpy as np
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from vitrail.backbones import BackboneSpec, open_backbone
from vitrail.core.machine import cache_folder, describe_machine, share_threads, usable_cores
from vitrail.core.progress import Silent
from vitrail.data import load, make_split, open_source
from vitrail.features import extract
from vitrail.heads import probabilities
from vitrail.search import tune

SHARED = Path(__file__).resolve().parents[2] / "shared"
WEIGHTS = {
    "vit_tiny_patch16_224.augreg_in21k_ft_in1k": "vit_tiny_patch16_224.augreg_in21k_ft_in1k",
    "resnet50.tv_in1k": "resnet50.pqf_in1k",
    "deit_tiny_patch16_224.fb_in1k": "deit_tiny_patch16_224.fb_in1k",
    "resnet18.tv_in1k": "resnet18.pqf_in1k",
}
STRENGTHS = np.logspace(-6, 2, 17)


def main() -> None:
    """Run it and write the table beside this file."""
    dataset = load(open_source(SHARED / "data" / "stanford_dogs_224.csv"), progress=Silent())
    label = dict(zip(dataset.table["id"].to_pylist(), dataset.table["label"].to_pylist(), strict=True))
    sealed_dataset, split, _ = make_split(dataset)
    opened = [
        open_backbone(BackboneSpec(name=name, file=SHARED / "weights" / f"{file}.safetensors"), progress=Silent())
        for name, file in WEIGHTS.items()
    ]
    extraction = extract(
        dataset,
        opened,
        cache=cache_folder(),
        threads=share_threads(usable_cores()),
        max_pixels=10**8,
        progress=Silent(),
    )
    test_N = np.array([label[id_] for id_ in split.test])
    lines = [__doc__.split("\n", 1)[0] if __doc__ else "", "", "    python -m benchmarks.heads_against_sklearn", ""]
    lines += [
        f"{describe_machine()}",
        "",
        f"Stanford Dogs, 4,800 images; {split.how} {len(split.test)} test images.",
        "",
    ]
    lines += [
        "| backbone | our head | top-1 | NLL | s | scikit-learn C | top-1 | NLL | s | only ours, theirs right, p |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for features in extraction.features:
        begun = time.perf_counter()
        found = tune(features, split, sealed_dataset)
        ours_s = time.perf_counter() - begun
        ours_NC = probabilities(found.head, features.rows(split.test))
        begun = time.perf_counter()
        strength, theirs_NC = _sklearn(features, split, label)
        theirs_s = time.perf_counter() - begun
        right, their_right = (table_NC.argmax(axis=1) == test_N for table_NC in (ours_NC, theirs_NC))
        only, their_only = int((right & ~their_right).sum()), int((their_right & ~right).sum())
        p = binomtest(only, only + their_only).pvalue if only + their_only else 1.0
        lines.append(
            f"| {features.backbone} | {found.head.kind} {found.head.setting} | {right.mean():.4f} | "
            f"{log_loss(test_N, ours_NC):.4f} | {ours_s:.1f} | {strength:.3g} | {their_right.mean():.4f} | "
            f"{log_loss(test_N, theirs_NC):.4f} | {theirs_s:.1f} | {only} / {their_only}, {p:.2f} |"
        )
        print(lines[-1], flush=True)
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


def _sklearn(features, split, label):
    def part(ids):
        return features.rows(ids).astype(np.float64), np.array([label[id_] for id_ in ids])

    def fit(ids, strength):
        feature_ND, label_N = part(ids)
        mean_D, scale_D = feature_ND.mean(axis=0), feature_ND.std(axis=0) + 1e-12
        model = LogisticRegression(C=strength, max_iter=1000, tol=1e-4).fit((feature_ND - mean_D) / scale_D, label_N)
        return lambda other_ND: model.predict_proba((other_ND - mean_D) / scale_D)

    val_ND, val_N = part(split.val)
    losses = [log_loss(val_N, fit(split.train, strength)(val_ND)) for strength in STRENGTHS]
    best = STRENGTHS[int(np.argmin(losses))]
    return best, fit((*split.train, *split.val), best)(part(split.test)[0])


if __name__ == "__main__":
    main()
