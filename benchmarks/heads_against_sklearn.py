"""The head that Vitrail chooses against scikit-learn's LogisticRegression and against the best of its own kinds alone.

    python -m benchmarks.heads_against_sklearn

Same features, split and test images. scikit-learn's C is chosen by val NLL on the same val from 1e-6 to 100, and
refitted on train + val, on standardised features. Its probabilities are temperature-scaled as ours are: one temperature
for all out-of-fold scores over the same five folds of train + val. What says how sure a search is and moves no head,
such as label curves and other splits, is left out. Needs the images and weights in ../shared. Writes
benchmarks/heads_against_sklearn_<hardware>_<yyyymm>.md.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from benchmarks.results import machine_line, write_results
from vitrail.backbones import BackboneSpec, open_backbone
from vitrail.core.progress import Silent
from vitrail.core.resources import Resources
from vitrail.data import load, make_split, open_source
from vitrail.features import extract
from vitrail.heads import probabilities
from vitrail.heads.head import softmax
from vitrail.heads.temperature import fit_temperature
from vitrail.search import TuneOptions, tune
from vitrail.search.options import KINDS

SHARED = Path(__file__).resolve().parents[2] / "shared"
WEIGHTS = {
    "vit_tiny_patch16_224.augreg_in21k_ft_in1k": "vit_tiny_patch16_224.augreg_in21k_ft_in1k",
    "deit_tiny_patch16_224.fb_in1k": "deit_tiny_patch16_224.fb_in1k",
    "resnet18.tv_in1k": "resnet18.pqf_in1k",
    "resnet50.tv_in1k": "resnet50.pqf_in1k",  # four times as wide as the others: last
}
STRENGTHS = np.logspace(-6, 2, 17)
OPTIONS = TuneOptions(label_curves=False, splits=0, seeds=1)


def main() -> None:
    """Run it and write the table beside this file."""
    dataset = load(open_source(SHARED / "data" / "stanford_dogs_224.csv"))
    label = dict(zip(dataset.table["id"].to_pylist(), dataset.table["label"].to_pylist(), strict=True))
    sealed_dataset, split, _ = make_split(dataset)
    opened = [
        open_backbone(BackboneSpec(name=name, file=SHARED / "weights" / f"{file}.safetensors"), progress=Silent())
        for name, file in WEIGHTS.items()
    ]
    extraction = extract(
        dataset,
        opened,
        max_pixels=10**8,
        resources=Resources(),
    )
    test_N = np.array([label[id_] for id_ in split.test])
    lines = [__doc__.split("\n", 1)[0] if __doc__ else "", "", "    python -m benchmarks.heads_against_sklearn", ""]
    lines += [
        machine_line(),
        "",
        f"Stanford Dogs, 4,800 images; {split.how} {len(split.test)} test images.",
        "",
    ]
    lines += [
        "p: exact McNemar on the same images. NLL in nats, of temperature-scaled probabilities for all heads.",
        "",
        "| backbone | head | top-1 | NLL | right where the default is wrong / the other way, p |",
        "| --- | --- | --- | --- | --- |",
    ]
    for features in extraction.features:
        default = tune(features, split, sealed_dataset, OPTIONS)
        ours_NC = probabilities(default.head, features.pooled(default.pooling).rows(split.test))
        lines.append(_row(features.backbone, f"default: {_named(default)}", ours_NC, ours_NC, test_N))
        strength, logit_NC, temperature = _sklearn(features, split, label)
        unscaled = log_loss(test_N, softmax(logit_NC))
        name = f"scikit-learn, C {strength:.3g}, temperature {temperature:.2f} (NLL without it {unscaled:.4f})"
        lines.append(_row("", name, softmax(logit_NC / temperature), ours_NC, test_N))
        for kind in KINDS:
            alone = tune(features, split, sealed_dataset, replace(OPTIONS, kinds=(kind,)))
            alone_NC = probabilities(alone.head, features.pooled(alone.pooling).rows(split.test))
            lines.append(_row("", f"{_named(alone)} alone", alone_NC, ours_NC, test_N))
        print("\n".join(lines[-len(KINDS) - 2 :]), flush=True)
        write_results("heads_against_sklearn", lines)


def _named(search):
    return f"{search.head.kind} " + ", ".join(
        f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in search.head.setting.items()
    )


def _row(backbone, name, table_NC, default_NC, test_N):
    right, default_right = (rows_NC.argmax(axis=1) == test_N for rows_NC in (table_NC, default_NC))
    only, default_only = int((right & ~default_right).sum()), int((default_right & ~right).sum())
    p = binomtest(only, only + default_only).pvalue if only + default_only else 1.0
    pair = "" if name.startswith("default") else f"{only} / {default_only}, {p:.2g}"
    return f"| {backbone} | {name} | {right.mean():.4f} | {log_loss(test_N, table_NC):.4f} | {pair} |"


def _sklearn(features, split, label):
    """The best C, its scores of the test images when fitted on train and val, and its temperature."""

    def take_rows(ids):
        return features.rows(ids).astype(np.float64), np.array([label[id_] for id_ in ids])

    def fit(ids, strength):
        feature_ND, label_N = take_rows(ids)
        mean_D, scale_D = feature_ND.mean(axis=0), feature_ND.std(axis=0) + 1e-12
        model = LogisticRegression(C=strength, max_iter=1000, tol=1e-4).fit((feature_ND - mean_D) / scale_D, label_N)
        return lambda other_ND: model.decision_function((other_ND - mean_D) / scale_D)

    val_ND, val_N = take_rows(split.val)
    losses = [log_loss(val_N, softmax(fit(split.train, strength)(val_ND))) for strength in STRENGTHS]
    best = STRENGTHS[int(np.argmin(losses))]
    learnt = (*split.train, *split.val)
    scored_NC = np.concatenate([fit(sorted(set(learnt) - set(fold)), best)(take_rows(fold)[0]) for fold in split.folds])
    fold_label_N = np.concatenate([take_rows(fold)[1] for fold in split.folds])
    return best, fit(learnt, best)(take_rows(split.test)[0]), fit_temperature(scored_NC, fold_label_N)


if __name__ == "__main__":
    main()
