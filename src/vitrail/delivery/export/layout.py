"""The names and versions that a model folder's writer and its reader share."""

from typing import Literal

MODEL_VERSION: Literal[1] = 1
RECEIPT_VERSION: Literal[1] = 1
FACTS, CERTIFICATE, RECEIPT = "model.json", "certificate.json", "receipt.json"
CERTIFICATE_PAGE, CARD = "certificate.html", "README.md"

MODEL_FILE = {"onnx": "model.onnx", "openvino": "model.xml", "torch": "model.pt2"}
RUNTIME = {"onnx": "onnxruntime", "openvino": "openvino", "torch": "torch"}
PIXELS, OUTPUTS = "pixels", ("probability", "distance")  # the input of the graph, and its outputs
