"""One worker process of this machine: asks the process that started it for work until it is told
to end, or until that process is gone.

    python -m tpuline.components.running.process_worker ADDRESS WORKER_ID < pipe
"""

from __future__ import annotations

import os
import sys
import threading

STATE_CACHE_BYTES = 100 << 20
FLUSH_AFTER_MS = 1000


def main() -> None:
    address, worker_id = sys.argv[1:]
    threading.Thread(target=_end_with_parent, daemon=True).start()

    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.worker.sdk_worker import SdkHarness

    FileSystems.set_options(PipelineOptions([]))
    SdkHarness(
        address,
        worker_id=worker_id,
        state_cache_size=STATE_CACHE_BYTES,
        data_buffer_time_limit_ms=FLUSH_AFTER_MS,
    ).run()
    sys.stdout.flush()
    os._exit(0)  # functions are torn down; taking the libraries apart would take another second


def _end_with_parent() -> None:
    """The parent holds the other end of standard input, and the system closes it however the
    parent ends. A bundle under way would otherwise be worked to its end for nobody.
    """
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


if __name__ == "__main__":
    main()
