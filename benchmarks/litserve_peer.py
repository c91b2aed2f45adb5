"""LitServe with a model folder, as `serve_load.py` starts it: python litserve_peer.py FOLDER PORT.

The same decoding, model, threads and largest batch as `vitrail serve`. Batches are made by LitServe, which decodes them
in threads; its clients send the image in base64, as in its own examples.
"""

import base64
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import litserve
import numpy as np

from vitrail.core.machine import usable_cores
from vitrail.delivery.model_folder import ModelFolder


class Peer(litserve.LitAPI):
    """A model folder behind LitServe."""

    def __init__(self, folder: Path, most: int) -> None:
        super().__init__(max_batch_size=most, batch_timeout=0.002)
        self.folder = folder

    def setup(self, device: str) -> None:
        """Open the model in the process that runs it."""
        self.model = ModelFolder.open(self.folder, threads=usable_cores())
        self.pool = ThreadPoolExecutor(usable_cores())

    def decode_request(self, request: dict[str, str]) -> bytes:
        """The bytes of the image."""
        return base64.b64decode(request["image"])

    def batch(self, inputs: list[bytes]) -> Any:
        """Decode a batch in threads."""
        return np.stack(list(self.pool.map(self.model.decode, inputs)))

    def predict(self, pixel_BHWC: Any) -> Any:
        """The answers, for one image or for a batch."""
        if isinstance(pixel_BHWC, bytes):
            pixel_BHWC = self.model.decode(pixel_BHWC)[None]
        return self.model.predict(pixel_BHWC)

    def unbatch(self, output: Any) -> Any:
        """One answer for each request."""
        return output

    def encode_response(self, output: Any) -> dict[str, Any]:
        """What the client gets."""
        answer = output[0] if isinstance(output, list) else output
        return {"label": answer.label, "probability": answer.probability, "top": answer.top, "set": answer.set}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    most = ModelFolder.open(folder, threads=1).certificate.speed.best.batch
    server = litserve.LitServer(Peer(folder, most), accelerator="cpu", workers_per_device=1)
    server.run(port=int(sys.argv[2]), host="127.0.0.1", generate_client_file=False, log_level="error")
