"""What `/metrics` tells of this process, as counters that the stages are handed."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """One set per process, in a registry of its own, so that two instances in one process don't mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.accepted = Counter("tocsin_logs_accepted", "Log records stored.", registry=self.registry)
        self.rejected = Counter("tocsin_logs_rejected", "Log records refused as invalid.", registry=self.registry)
        self.refused = Counter(
            "tocsin_requests_refused", "Intake requests answered 503, by reason.", ["reason"], registry=self.registry
        )
        self.parked = Counter(
            "tocsin_parked", "Commits whose consequences a later stage failed to work out at once.",
            registry=self.registry,
        )  # fmt: skip
        self.compacted = Counter(
            "tocsin_logs_compacted", "Log records written into segments, merges included.", registry=self.registry
        )
        self.uncompactable = Counter(
            "tocsin_uncompactable", "Chunks and segments that can't be compacted: they are searched as they are.",
            registry=self.registry,
        )  # fmt: skip
        self.not_mined = Counter(
            "tocsin_logs_not_mined", "Log records counted without their pattern: that failed, or there was no time.",
            registry=self.registry,
        )  # fmt: skip
        self.damaged = Counter(
            "tocsin_segments_damaged", "Segments found damaged and set aside.", registry=self.registry
        )
        self.hours_sealed = Counter(
            "tocsin_hours_sealed", "Hours whose books were closed before their logs may go.", registry=self.registry
        )
        self.sealed_gaps = Counter(
            "tocsin_sealed_gaps", "Gaps on the books of hours when they were sealed.", registry=self.registry
        )
        self.queue_bytes = Gauge("tocsin_queue_bytes", "Bytes waiting to be committed.", registry=self.registry)
        self.commit_seconds = Histogram(
            "tocsin_commit_seconds", "Time of one group commit, fsync included.", buckets=_SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self.commit_records = Histogram(
            "tocsin_commit_records", "Records in one group commit.", buckets=(1, 4, 16, 64, 256, 1024, 4096, 16384),
            registry=self.registry,
        )  # fmt: skip
        self.loop_errors = Counter(
            "tocsin_loop_errors", "Errors in background loops and timers, by name.", ["loop"], registry=self.registry
        )
        self.deliveries_sent = Counter(
            "tocsin_deliveries_sent", "Messages taken by the other side, by channel.", ["channel"],
            registry=self.registry,
        )  # fmt: skip
        self.deliveries_failed = Counter(
            "tocsin_deliveries_failed", "Tries to send a message that failed, by channel.", ["channel"],
            registry=self.registry,
        )  # fmt: skip
        self.template_fallbacks = Counter(
            "tocsin_template_fallbacks", "Messages said by the default template because theirs failed.",
            registry=self.registry,
        )  # fmt: skip
