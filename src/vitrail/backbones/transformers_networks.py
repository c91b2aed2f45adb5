"""Image models of transformers, from a folder with config.json, preprocessor_config.json and model.safetensors.

The feature is what the architecture pools without one more layer (ResNet, ConvNeXt, Swin, DINOv2, the towers of CLIP
and SigLIP), else the class token after the last norm: the pooler of ViT and DeiT is such a layer; a file may lack it,
and then it has random weights. Code that comes with a model is never run.

Pixels follow the processor's settings, made by Pillow. One rule differs: if a crop cannot be exactly central,
transformers begins it half a pixel above and left, Vitrail at the even number.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, TypeAdapter

from vitrail.backbones.cards import Interpolation, Preprocessing
from vitrail.backbones.libraries import Described, import_library, pooled
from vitrail.core.bounded import is_regular_file
from vitrail.core.errors import UsageError, WeightsError
from vitrail.core.reasons import say_reason

if TYPE_CHECKING:
    from torch import Tensor, nn

MOST_SIDE = 8192  # of an image that a processor makes
FILTERS: dict[int, Interpolation] = {2: "bilinear", 3: "bicubic"}  # Pillow's numbers, which a processor stores


Side = Annotated[int, Field(gt=0, le=MOST_SIDE)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Settings:
    """What matters of a processor; other settings are ignored."""

    size: dict[str, Side | None] | None = None
    crop_size: dict[str, Side | None] | None = None
    resample: int | None = None
    do_resize: bool | None = True
    do_center_crop: bool | None = None
    do_flip_channel_order: bool | None = None
    do_rescale: bool | None = True
    do_normalize: bool | None = True
    crop_pct: Positive | None = None
    rescale_factor: Positive | None = None
    rescale_offset: bool | float | None = None
    image_mean: tuple[Finite, Finite, Finite] | None = None
    image_std: tuple[Positive, Positive, Positive] | None = None

    @property
    def mean(self) -> tuple[float, float, float] | None:
        """What is subtracted from each channel; None if that is not said."""
        return self.image_mean if self.do_normalize else (0.0, 0.0, 0.0)

    @property
    def std(self) -> tuple[float, float, float] | None:
        """What each channel is divided by after that; None if that is not said."""
        return self.image_std if self.do_normalize else (1.0, 1.0, 1.0)

    @property
    def divide_by(self) -> float | None:
        """What pixels are divided by first; None if that is not said."""
        if not self.do_rescale:
            return 1.0
        return round(1 / self.rescale_factor, 6) if self.rescale_factor else None


_SETTINGS = TypeAdapter(_Settings)


@dataclass(frozen=True, slots=True)
class TransformersNetwork:
    """The model of a folder."""

    folder: Path

    def blank(self) -> "nn.Module":
        """Without weights, on the meta device."""
        import torch

        transformers = import_library("transformers", extra="hf")
        with torch.device("meta"), _quietly(transformers):
            return _feature(transformers.AutoModel.from_config(_config(self.folder), trust_remote_code=False).eval())

    def loaded(self, file: Path) -> "nn.Module":
        """With the weights of its folder; a pickle in it is never opened."""
        transformers = import_library("transformers", extra="hf")
        _require_floating(file)
        try:
            with _quietly(transformers):
                net, report = transformers.AutoModel.from_pretrained(
                    file.parent,
                    local_files_only=True,
                    use_safetensors=True,
                    trust_remote_code=False,
                    dtype="float32",
                    ignore_mismatched_sizes=True,  # they are named below
                    output_loading_info=True,
                )
        except Exception as error:  # whatever a damaged file makes transformers raise
            raise WeightsError(
                f"The weights {file} cannot be read ({say_reason(error)}): fetch them again from "
                f"where they were published."
            ) from error
        missing = [name for name in report["missing_keys"] if not name.startswith("pooler.")]
        odd = ", ".join(sorted([*missing, *(name for name, *_ in report["mismatched_keys"])])[:8])
        if odd:
            raise WeightsError(
                f"The weights {file} do not fit the config.json beside them ({odd} missing or of another shape): "
                "fetch both again from the same place."
            )
        return _feature(net.eval())


def describe(folder: Path, name: str) -> Described:
    """The facts in the three files of a folder; `name` is the value of -b, for messages.

    Raises:
        UsageError: transformers is not installed, the files are not of an image model, or its processor needs
            preprocessing that Vitrail does not have.
    """
    transformers = import_library("transformers", extra="hf")
    try:
        config = _config(folder)
        model = transformers.models.auto.modeling_auto.MODEL_MAPPING[type(config)]
    except Exception as error:  # whatever a file from outside makes transformers raise
        raise UsageError(
            f"transformers {transformers.__version__} has no model for the config.json of {name} "
            f"({say_reason(error)}); Vitrail does not run code that comes with a model."
        ) from error
    if model.main_input_name != "pixel_values":
        raise UsageError(
            f"{name} is a {model.__name__}, which takes {model.main_input_name}, not only images: choose an image "
            "backbone."
        )
    return Described(
        family="hf",
        model=model.__name__,
        release=f"transformers {transformers.__version__}",
        network=TransformersNetwork(folder),
        preprocessing=_preprocessing(transformers, folder, name),
        licence=_licence(folder),
        classes=0,
        seen_in=f"config.json, preprocessor_config.json and README.md of {name.split(':', 1)[1]}",
    )


def _require_floating(file: Path) -> None:
    """Check the header of the file, since transformers turns every type into float32."""
    from safetensors import SafetensorError, safe_open

    from vitrail.backbones.weights import require_floating

    try:
        with safe_open(file, framework="pt") as stored:
            types = {name: stored.get_slice(name).get_dtype() for name in stored.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError):
        return  # transformers says what is wrong with it
    require_floating({name: kind for name, kind in types.items() if not kind.startswith(("F", "BF"))}, file)


@contextmanager
def _quietly(transformers: Any) -> Iterator[None]:
    """Its findings about a file are returned as values; its own messages and bars would disturb the terminal."""
    logging = transformers.utils.logging
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        logging.enable_progress_bar()


def _config(folder: Path) -> Any:
    transformers = import_library("transformers", extra="hf")
    return transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def _preprocessing(transformers: Any, folder: Path, name: str) -> Preprocessing:
    try:
        processor = transformers.AutoImageProcessor.from_pretrained(
            folder, backend="pil", local_files_only=True, trust_remote_code=False
        )
        settings = _SETTINGS.validate_json(processor.to_json_string())
    except Exception as error:  # whatever a file from outside makes transformers raise
        raise UsageError(
            f"The preprocessor_config.json of {name} cannot be read by transformers ({say_reason(error)}): fetch "
            "it again."
        ) from error
    size, crop = settings.size or {}, settings.crop_size or {}
    squash = "height" in size
    resize = size.get("height") if squash else size.get("shortest_edge")
    square = not squash or size.get("width") == resize
    if settings.do_center_crop:
        square, side = square and crop.get("height") == crop.get("width"), crop.get("height")
    else:
        square, side = square and squash, resize
    if settings.crop_pct and resize:  # ConvNeXt: below 384 the short side is made longer and the centre cut out
        squash, square, side = resize >= 384, True, resize
        resize = resize if squash else int(resize / settings.crop_pct)
    known = settings.do_resize and not settings.do_flip_channel_order and not settings.rescale_offset
    if not (known and square and resize and side and settings.resample in FILTERS):
        raise UsageError(
            f"The processor of {name} needs preprocessing that Vitrail does not have (size {size}, crop "
            f"{crop or 'none'}, filter "
            f"{settings.resample}): Vitrail only makes square images, bilinear or bicubic, cropped at the "
            "centre."
        )
    mean, std, divide_by = settings.mean, settings.std, settings.divide_by
    if not (mean and std and divide_by):
        raise UsageError(
            f"The preprocessor_config.json of {name} does not say how pixels are normalised (image_mean, image_std, "
            "rescale_factor): fetch it again."
        )
    return Preprocessing(
        resize=resize,
        crop=side,
        interpolation=FILTERS[settings.resample],
        mean=mean,
        std=std,
        resize_rule="squash" if squash else "short side",
        divide_by=divide_by,
    )


def _licence(folder: Path) -> str:
    """The licence field at the top of the model's page."""
    from huggingface_hub import metadata_load

    page = folder / "README.md"
    try:
        facts = metadata_load(page) if is_regular_file(page) else None
    except Exception:  # noqa: BLE001 - a damaged page can make the YAML reader raise anything
        return ""
    licence = (facts or {}).get("license")
    return licence if isinstance(licence, str) else ""


def _feature(net: Any) -> "nn.Module":
    from torch import nn

    pooler = getattr(net, "pooler", None)
    has_layer = pooler is not None and any(isinstance(module, nn.Linear) for module in pooler.modules())

    def feature(image_BCHW: "Tensor") -> "Tensor":
        output = net(pixel_values=image_BCHW)
        if not has_layer and getattr(output, "pooler_output", None) is not None:
            result: Tensor = output.pooler_output
            return result
        last: Tensor = output.last_hidden_state
        return last[:, 0] if last.ndim == 3 else last.mean(dim=(2, 3))

    return pooled(feature, net)
