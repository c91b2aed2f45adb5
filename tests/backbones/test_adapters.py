"""Other libraries' networks, with local weights and no network: the same features, the same pixels, an honest card."""

import importlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.fetch.hub_server import Hub
from tests.references import noise_image, randomise, timm, timm_config, timm_net, timm_pixels, torchvision
from vitrail.backbones import open_backbone, parse_spec, to_pixels
from vitrail.backbones.adapters import AdaptedBackbone, open_adapted
from vitrail.backbones.classifier import read_classifier
from vitrail.backbones.engines import EngineChoice
from vitrail.backbones.libraries import import_library
from vitrail.backbones.specs import BackboneSpec
from vitrail.core.errors import DownloadError, UsageError, WeightsError
from vitrail.core.progress import Silent

PARITY = 2e-5
SMALL = "test_vit.r160_in1k"  # timm's own for tests: 380,000 parameters


def opened(spec: str, *, engine: str = "torch") -> AdaptedBackbone:
    backbone = open_backbone(parse_spec(spec), engine=engine, offline=True, progress=Silent())
    assert isinstance(backbone, AdaptedBackbone)
    return backbone


def features(backbone: AdaptedBackbone, image: Image.Image) -> Tensor:
    pixel_HWC = to_pixels(image, backbone.card.preprocessing)
    return torch.from_numpy(backbone.start(threads=1)(pixel_HWC[None]))


def gap(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


@pytest.fixture
def timm_file(tmp_path: Path) -> Path:
    save_file(randomise(timm_net(SMALL)), tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


@pytest.mark.parametrize(
    "name", [SMALL, "test_convnext.r160_in1k", "test_resnet.r160_in1k", "test_efficientnet.r160_in1k"]
)
def test_timms_features_are_its_own_from_the_picture_on(name, tmp_path):
    reference, image = timm_net(name), noise_image(200, 260)
    save_file(randomise(reference), tmp_path / "w.safetensors")
    with torch.inference_mode():
        map_B = reference.forward_features(timm_pixels(image, timm_config(name))[None])
        theirs = reference.forward_head(map_B, pre_logits=True).flatten(1)
    backbone = opened(f"timm:{name}={tmp_path / 'w.safetensors'}")
    assert gap(features(backbone, image), theirs) <= PARITY
    assert backbone.card.feature_width == theirs.shape[1]


def test_openvino_runs_them_too(timm_file):
    pytest.importorskip("openvino")
    image = noise_image(200, 260)
    one, other = (opened(f"timm:{SMALL}={timm_file}", engine=engine) for engine in ("torch", "openvino"))
    assert gap(features(other, image), features(one, image)) <= 0.02  # bfloat16 where the processor has it


def test_the_card_is_counted_and_says_where_it_read(timm_file):
    card = opened(f"timm:{SMALL}={timm_file}").card
    net = timm_net(SMALL, num_classes=0)
    assert card.parameters == sum(parameter.numel() for parameter in net.parameters())
    assert (card.family, card.variant["model"], card.pooling) == ("timm", SMALL, "own")
    assert 0.01 < card.gmacs < 1
    assert str(timm().__version__) in card.variant["library"]


def test_of_a_local_file_licence_and_origin_are_not_stated(timm_file):
    card = opened(f"timm:{SMALL}={timm_file}").card
    assert card.licence.startswith("not stated (local file, sha256 ")
    assert (card.commercial, card.repository) == ("unknown", "")


def test_no_table_explains_their_classifier(timm_file):
    assert read_classifier(opened(f"timm:{SMALL}={timm_file}")) is None


def test_another_number_of_classes_loads_as_well(tmp_path):
    save_file(randomise(timm_net(SMALL, num_classes=7)), tmp_path / "w.safetensors")
    assert features(opened(f"timm:{SMALL}={tmp_path / 'w.safetensors'}"), noise_image(160, 160)).isfinite().all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state | {"surprise": torch.ones(1)}, "surprise"),
        (lambda state: {k: v for k, v in state.items() if k != "norm.weight"}, r"norm\.weight"),
        (lambda state: state | {"norm.weight": torch.full((64,), torch.nan)}, r"not finite: inner\.norm\.weight"),
    ],
)
def test_weights_that_do_not_fit_are_an_error(change, said, timm_file):
    save_file(change(load_file(timm_file)), timm_file)
    with pytest.raises(WeightsError, match=rf"w\.safetensors.*{said}"):
        opened(f"timm:{SMALL}={timm_file}").start(threads=1)


def test_a_name_that_timm_does_not_have_is_answered_with_near_ones(timm_file):
    with pytest.raises(UsageError, match=r"timm .* has no model 'test_vi'.*similar names: .*test_vit"):
        opened(f"timm:test_vi={timm_file}")


@pytest.mark.parametrize(
    "name", ["vit_base_patch16_sapiens2.fb", "deepseek_vit_412m.deepseek_v4_flash_vision_exp"], ids=["tall", "border"]
)
def test_pixels_that_vitrail_does_not_make_are_refused(name, timm_file):
    with pytest.raises(UsageError, match="square RGB images, bilinear or bicubic, cropped at the centre"):
        opened(f"timm:{name}={timm_file}")


def library() -> Any:
    torchvision()  # makes it importable here
    return importlib.import_module("transformers")


SIZES = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 32, "patch_size": 8}
SQUASHED = {"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}, "resample": 3}
CUT = {
    "image_processor_type": "BitImageProcessor",
    "size": {"shortest_edge": 40},
    "crop_size": {"height": 32, "width": 32},
    "do_center_crop": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}
# Class, its configuration, the processor's settings, what becomes the feature.
MODELS = {
    "vit": ("ViT", SIZES | {"intermediate_size": 96}, SQUASHED, lambda output: output.last_hidden_state[:, 0]),
    "dinov2": ("Dinov2", SIZES, CUT, lambda output: output.pooler_output),
    "resnet": (
        "ResNet",
        {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"},
        CUT,
        lambda output: output.pooler_output.flatten(1),
    ),
    "convnext": (
        "ConvNext",
        {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]},
        {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 32}, "crop_pct": 0.8},
        lambda output: output.pooler_output,
    ),
    "clip": (
        "CLIPVision",
        SIZES | {"intermediate_size": 96},
        CUT | {"image_processor_type": "CLIPImageProcessor"},
        lambda output: output.pooler_output,
    ),
}


def hf_folder(kind: str, folder: Path) -> Any:
    """Write a model with random weights as transformers does; gives the model."""
    name, config, processor, _ = MODELS[kind]
    net = getattr(library(), f"{name}Model")(getattr(library(), f"{name}Config")(**config)).eval()
    randomise(net)
    net.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return net


@pytest.mark.parametrize("kind", MODELS)
def test_transformers_features_are_its_own_from_the_picture_on(kind, tmp_path):
    net, image = hf_folder(kind, tmp_path), noise_image(64, 80)
    processor = library().AutoImageProcessor.from_pretrained(tmp_path, backend="pil")
    with torch.inference_mode():
        theirs = MODELS[kind][3](net(**processor(image, return_tensors="pt")))
    backbone = opened(f"hf:some/{kind}={tmp_path}")
    assert gap(features(backbone, image), theirs) <= PARITY
    assert backbone.card.feature_width == theirs.shape[1]


def test_a_folders_digest_is_that_of_what_its_features_depend_on(tmp_path):
    hf_folder("vit", tmp_path)
    before = opened(f"hf:a/b={tmp_path}").digest
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n")
    assert opened(f"hf:a/b={tmp_path}").digest == before
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(SQUASHED | {"resample": 2}))
    assert opened(f"hf:a/b={tmp_path}").digest != before


def test_a_text_model_and_a_strange_processor_are_refused(tmp_path):
    hf = library()
    config = hf.BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    hf.BertModel(config).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(SQUASHED))
    with pytest.raises(UsageError, match=r"hf:a/b is a BertModel, which takes input_ids"):
        opened(f"hf:a/b={tmp_path}")
    hf_folder("vit", tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(SQUASHED | {"resample": 0}))
    with pytest.raises(UsageError, match="needs preprocessing that Vitrail does not have"):
        opened(f"hf:a/b={tmp_path}")


def test_code_that_comes_with_a_model_is_not_run(tmp_path):
    hf_folder("vit", tmp_path)
    (tmp_path / "evil.py").write_text("raise SystemExit('it ran')")
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match="does not run code") as caught:
        opened(f"hf:a/b={tmp_path}")
    assert "trust_remote_code" not in str(caught.value), "which is how transformers would run it"


def test_weights_that_are_missing_misshapen_or_a_pickle_are_an_error(tmp_path):
    hf_folder("vit", tmp_path)
    file = tmp_path / "model.safetensors"
    whole = load_file(file)
    save_file({name: tensor for name, tensor in whole.items() if name != "layernorm.weight"}, file)
    with pytest.raises(WeightsError, match=r"model\.safetensors.*layernorm\.weight"):
        opened(f"hf:a/b={tmp_path}").start(threads=1)
    save_file(whole | {"layernorm.weight": torch.ones(7)}, file)
    with pytest.raises(WeightsError, match=r"model\.safetensors.*layernorm\.weight"):
        opened(f"hf:a/b={tmp_path}").start(threads=1)
    torch.save(whole, file)
    with pytest.raises(WeightsError, match=r"model\.safetensors cannot be read"):
        opened(f"hf:a/b={tmp_path}").start(threads=1)


def test_a_repository_is_fetched_whole_of_one_commit_and_locked(tmp_path, hub: Hub):
    hf_folder("vit", tmp_path)
    hub.push((tmp_path / "model.safetensors").read_bytes())
    hub.others = {name: (tmp_path / name).read_bytes() for name in ("config.json", "preprocessor_config.json")}
    hub.others["README.md"] = b"---\nlicense: apache-2.0\n---\nA model."
    spec = parse_spec(f"hf:{hub.repository}")
    first = open_backbone(spec, engine="torch", progress=Silent())
    assert (first.card.licence, first.card.commercial, first.card.revision) == ("apache-2.0", "yes", hub.newest)
    assert first.digest == opened(f"hf:local={tmp_path}").digest
    hub.requests.clear()
    assert opened(f"hf:{hub.repository}").digest == first.digest
    assert hub.requests == []
    shutil.rmtree(constants.HF_HUB_CACHE)
    hub.others["config.json"] += b" "
    with pytest.raises(DownloadError, match=r"bytes of config\.json of hf:timm/tiny are not the trusted ones"):
        open_backbone(spec, engine="torch", progress=Silent())


def test_published_weights_of_timm_come_from_the_hub_under_the_lock(timm_file, hub: Hub):
    hub.repository = timm().get_pretrained_cfg(SMALL).hf_hub_id
    hub.push(timm_file.read_bytes())
    fetched = open_backbone(parse_spec(f"timm:{SMALL}"), engine="torch", progress=Silent())
    assert (fetched.card.licence, fetched.card.commercial) == ("apache-2.0", "yes")
    assert (fetched.card.repository, fetched.card.revision) == (hub.repository, hub.newest)
    assert torch.equal(
        features(fetched, noise_image(160, 160)), features(opened(f"timm:{SMALL}={timm_file}"), noise_image(160, 160))
    )


def test_a_folder_that_lacks_a_file_names_it(tmp_path):
    hf_folder("vit", tmp_path)
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(UsageError, match=r"lacks preprocessor_config\.json"):
        opened(f"hf:a/b={tmp_path}")
    with pytest.raises(UsageError, match="Give hf:a/b the folder"):
        opened(f"hf:a/b={tmp_path / 'model.safetensors'}")


@pytest.mark.parametrize(("name", "extra"), [("timm", "timm"), ("transformers", "hf")])
def test_an_extra_that_is_missing_is_named(name, extra, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda wanted: None)
    with pytest.raises(UsageError, match=rf"{name} is not installed: pip install 'vitrail\[{extra}\]'"):
        import_library(name, extra=extra)


def test_without_published_weights_and_offline_it_says_what_to_do():
    with pytest.raises(DownloadError, match="offline mode"):
        opened(f"timm:{SMALL}")
    with pytest.raises(UsageError, match="has no published weights"):
        opened("timm:test_vit4")


@pytest.mark.parametrize("name", ["../../etc", "/etc/passwd", "a/b/c", "a/..", "..", "a b/c", "a\\b"])
def test_a_name_that_is_no_repository_is_refused(name):
    with pytest.raises(DownloadError, match="does not name a repository"):
        open_backbone(parse_spec(f"hf:{name}"), progress=Silent())


def test_integer_weights_are_refused_whichever_library_builds_the_network(timm_file, tmp_path):
    hf_folder("vit", tmp_path)
    for name, file in (
        (f"timm:{SMALL}={timm_file}", timm_file),
        (f"hf:a/b={tmp_path}", tmp_path / "model.safetensors"),
    ):
        state = {key: (tensor * 127).to(torch.int8) for key, tensor in load_file(file).items()}
        save_file(state, file, metadata={"format": "pt"})
        with pytest.raises(WeightsError, match=r"not floating-point: .* of type (int8|I8)"):
            opened(name).load_net()


def test_a_folder_whose_adapter_names_other_weights_is_refused(tmp_path):
    hf_folder("vit", tmp_path)
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "elsewhere"}')
    with pytest.raises(UsageError, match=r"has an adapter_config\.json: merge the adapter"):
        opened(f"hf:a/b={tmp_path}")


def test_a_folder_that_changed_after_it_was_hashed_is_refused(tmp_path):
    hf_folder("vit", tmp_path)
    backbone = opened(f"hf:a/b={tmp_path}")
    (tmp_path / "config.json").write_text((tmp_path / "config.json").read_text() + " ")
    with pytest.raises(WeightsError, match="changed while Vitrail was using them"):
        backbone.load_net()


HF_CONFIG = {"model_type": "vit", "hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 1}
HF_CONFIG |= {"intermediate_size": 32, "image_size": 32, "patch_size": 8}
HF_PROCESSOR = {"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}, "resample": 2}
HF_PROCESSOR |= {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "rescale_factor": 1 / 255}
DEEP = "[" * 200_000


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("config.json", DEEP),
        ("config.json", "5"),
        ("config.json", json.dumps(HF_CONFIG | {"hidden_size": -1})),
        ("config.json", json.dumps(HF_CONFIG | {"hidden_size": "x"})),
        ("config.json", json.dumps(HF_CONFIG | {"image_size": 0})),
        ("config.json", json.dumps(HF_CONFIG | {"dtype": "zz"})),
        ("preprocessor_config.json", DEEP),
        ("preprocessor_config.json", "{}"),
        *(
            ("preprocessor_config.json", json.dumps(HF_PROCESSOR | wrong))
            for wrong in (
                {"size": 5},
                {"size": {"height": -5, "width": -5}},
                {"size": {"height": "a", "width": "a"}},
                {"size": {"height": 10**9, "width": 10**9}},
                {"image_mean": 5},
                {"image_std": [0, 0, 0]},
                {"resample": [1]},
                {"rescale_factor": 0},
                {"crop_size": [1]},
                {"crop_pct": 0},
            )
        ),
    ],
)
def test_a_folder_from_outside_is_refused_in_one_sentence(tmp_path: Path, file: str, text: str):
    for name, facts in (("config.json", HF_CONFIG), ("preprocessor_config.json", HF_PROCESSOR)):
        (tmp_path / name).write_text(json.dumps(facts))
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "README.md").write_text("---\n!!python/object:os.system x\n---\n")
    spec, choice = BackboneSpec(name="hf:a/b", file=tmp_path), EngineChoice(name="torch", precision="fp32")
    open_adapted(spec, choice, offline=True, progress=Silent())  # the page alone does not stop it
    (tmp_path / file).write_text(text)
    with pytest.raises(UsageError, match="hf:a/b"):
        open_adapted(spec, choice, offline=True, progress=Silent())
