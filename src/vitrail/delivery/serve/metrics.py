"""What Prometheus reads at /metrics."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from vitrail.delivery.serve.admission import Admission

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
BATCH_SIZES = (1, 2, 4, 8, 16, 32)


class Metrics:
    """Counters of one service, in a registry of its own."""

    def __init__(self, admission: Admission) -> None:
        self._registry = CollectorRegistry()
        self.requests = self._count("vitrail_requests", "Requests by path and status.", "path", "status")
        self.images = self._count("vitrail_images", "Images by outcome: answered, doubt, unreadable.", "outcome")
        self.request_s = self._measure("vitrail_request_seconds", "From the first header to the reply.", SECONDS)
        self.batch = self._measure("vitrail_batch_images", "Images of a batch.", BATCH_SIZES)
        self.model_s = self._measure("vitrail_model_seconds", "The model on a batch.", SECONDS)
        waiting = Gauge("vitrail_waiting_images", "Accepted and not answered yet.", registry=self._registry)
        waiting.set_function(lambda: admission.images)
        uploading = Gauge("vitrail_upload_bytes", "Of bodies that are in memory.", registry=self._registry)
        uploading.set_function(lambda: admission.upload_bytes)

    def on_batch(self, images: int, seconds: float) -> None:
        """Count a batch of the model."""
        self.batch.observe(images)
        self.model_s.observe(seconds)

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self._registry)

    def _count(self, name: str, words: str, *labels: str) -> Counter:
        return Counter(name, words, labels, registry=self._registry)

    def _measure(self, name: str, words: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, words, buckets=buckets, registry=self._registry)
