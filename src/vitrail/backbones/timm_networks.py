"""timm's networks, with timm's data configuration, licence field and conversion of older files."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitrail.backbones.cards import Preprocessing
from vitrail.backbones.libraries import Described, import_library, pooled
from vitrail.core.errors import UsageError, WeightsError
from vitrail.core.reasons import say_reason

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class TimmNetwork:
    """One of timm's networks by its name."""

    model: str
    classifier: str

    def blank(self) -> "nn.Module":
        """Without classifier, on the meta device."""
        import torch

        with torch.device("meta"):
            return _feature(import_library("timm", extra="timm").create_model(self.model, num_classes=0))

    def loaded(self, file: Path) -> "nn.Module":
        """With the weights of a file; timm gets the tensors and does not read the file itself."""
        from vitrail.backbones.weights import read_weights

        timm, state = import_library("timm", extra="timm"), read_weights(file)
        weight = state.get(f"{self.classifier}.weight")
        overlay = {"state_dict": state, "num_classes": 0 if weight is None else len(weight)}
        try:
            net = timm.create_model(
                self.model, pretrained=True, num_classes=overlay["num_classes"], pretrained_cfg_overlay=overlay
            )
        except (RuntimeError, KeyError, ValueError, TypeError, AssertionError) as error:
            raise WeightsError(
                f"The weights {file} do not fit timm's {self.model} ({say_reason(error)}): check that "
                f"the file belongs to it."
            ) from error
        return _feature(net)


def describe(model: str, name: str) -> tuple[Described, str]:
    """The facts that timm has about a network, and the repository of its published weights, "" if it has none.

    `model` is its name in timm, such as "convnext_tiny.fb_in1k"; `name` is the value of -b, for messages.

    Raises:
        UsageError: timm is not installed, does not know the name, or needs preprocessing that Vitrail does not have.
    """
    timm = import_library("timm", extra="timm")
    if not timm.is_model(model):
        near = ", ".join(timm.list_models(f"*{model.split('.')[0]}*", pretrained=True)[:4]) or "none"
        raise UsageError(f"timm {timm.__version__} has no model {model!r} (given as {name}); similar names: {near}.")
    known = timm.get_pretrained_cfg(model)
    facts = known.to_dict() if known else {}
    described = Described(
        family="timm",
        model=model,
        release=f"timm {timm.__version__}",
        network=TimmNetwork(model, str(facts.get("classifier") or "head")),
        preprocessing=_preprocessing(timm.data.resolve_data_config({}, pretrained_cfg=facts), name),
        licence=facts.get("license") or "",
        classes=int(facts.get("num_classes") or 0),
        seen_in=f"timm {timm.__version__}, get_pretrained_cfg({model!r})",
    )
    return described, facts.get("hf_hub_id") or ""


def _preprocessing(config: dict[str, Any], name: str) -> Preprocessing:
    channels, rows, columns = config["input_size"]
    rule = {"center": "short side", "squash": "squash"}.get(config["crop_mode"])
    if channels != 3 or rows != columns or rule is None or config["interpolation"] not in ("bilinear", "bicubic"):
        raise UsageError(
            f"{name} needs images of {channels} x {rows} x {columns}, crop {config['crop_mode']}, "
            f"{config['interpolation']}, but Vitrail only makes square RGB images, bilinear or bicubic, cropped at "
            "the centre."
        )
    return Preprocessing(
        resize=math.floor(rows / config["crop_pct"]),
        crop=rows,
        interpolation=config["interpolation"],
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        resize_rule="squash" if rule == "squash" else "short side",
    )


def _feature(net: Any) -> "nn.Module":
    def feature(image_BCHW: "Tensor") -> "Tensor":
        result: Tensor = net.forward_head(net.forward_features(image_BCHW), pre_logits=True)
        return result

    return pooled(feature, net)
