from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from vitrail.delivery.run_images import RunImages

IDS = st.binary(min_size=32, max_size=32).map(bytes.hex)
SPLITS = st.sampled_from([None, "train", "val", "test", "calibration"])


@given(st.dictionaries(IDS | st.just("ab" * 31 + "00"), SPLITS), IDS)
def test_an_image_is_found_by_its_id_in_its_split_alone(splits: dict[str, str | None], stranger: str):
    run: Any = SimpleNamespace(examples=lambda: SimpleNamespace(ids=list(splits), splits=list(splits.values())))
    images = RunImages.of(run)
    assert {image_id: images.split_of(image_id) for image_id in splits} == splits
    assert images.split_of(stranger) == splits.get(stranger)
