"""Keras's backend, its threads and its device. Keras is imported only when a function is called."""

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from digit_recognizer.errors import RunError


def start_backend(threads: int = 0) -> None:
    """Load Keras and its backend, with Keras's defaults instead of the user's configuration.

    `threads` is the number of CPU threads, 0 for all. Raises RunError if a library cannot be loaded, or if this process
    has already computed with a different number of threads.
    """
    with hide_native_output("Loading Keras and its backend"):
        import keras

        logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of retracing, which each network needs
        keras.config.set_image_data_format("channels_last")
        keras.config.set_floatx("float32")
        keras.config.set_epsilon(1e-7)
        if threads:
            _use_threads(threads)
        keras.ops.zeros(1)  # the first operation looks for devices


def device() -> str:
    """Return the device of Keras: cpu or gpu."""
    import keras

    where = str(keras.ops.zeros(1).device).lower()
    return "gpu" if "gpu" in where or "cuda" in where else "cpu"


@contextmanager
def hide_native_output(task: str) -> Iterator[None]:
    """Hide the output of native libraries to stderr, such as that of TensorFlow when it is loaded.

    Raises RunError with the `task` and the hidden output if a library cannot be imported.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield
        except ImportError as error:
            sink.seek(0)
            written = sink.read()[-500:].decode(errors="replace")
            raise RunError(f"{task} failed: {error}. `digits doctor` shows the versions.\n{written}".strip()) from error
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)


def _use_threads(threads: int) -> None:
    """Set the number of CPU threads. JAX ignores it after its first operation, as it reads NPROC only then."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if tf.config.threading.get_intra_op_parallelism_threads() != threads:
            try:
                tf.config.threading.set_intra_op_parallelism_threads(threads)
                tf.config.threading.set_inter_op_parallelism_threads(threads)
            except RuntimeError as error:
                raise RunError(
                    f"this process cannot change to {threads} threads after its first operation. Restart it, or keep "
                    "the threads."
                ) from error
    elif keras.backend.backend() == "torch":
        import torch

        torch.set_num_threads(threads)
    else:
        os.environ["NPROC"] = str(threads)
