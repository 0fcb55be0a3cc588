"""Keras's backend: started with the wanted threads, and the device it computes on. Keras is imported by the calls."""

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from digit_recognizer.errors import RunError


def start_backend(threads: int = 0) -> None:
    """Load Keras and its backend, with Keras's own defaults whatever the user's configuration is.

    The CPU computes with `threads` threads, 0 for as many as there are. Raises RunError when a library cannot be
    loaded, or this process has already computed with another number of threads.
    """
    with hide_native_output("Loading Keras and its backend"):
        import keras

        logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of the retracing that each network needs
        keras.config.set_image_data_format("channels_last")
        keras.config.set_floatx("float32")
        keras.config.set_epsilon(1e-7)
        if threads:
            _use_threads(threads)
        keras.ops.zeros(1)  # the first operation looks for devices


def device() -> str:
    """Where Keras computes: cpu or gpu."""
    import keras

    where = str(keras.ops.zeros(1).device).lower()
    return "gpu" if "gpu" in where or "cuda" in where else "cpu"


@contextmanager
def hide_native_output(task: str) -> Iterator[None]:
    """Hide what native libraries write to stderr past Python, as TensorFlow does at its start.

    Raises RunError, which names the `task` and ends with what they wrote, when a library cannot be imported.
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
    """JAX alone raises nothing when it is too late: it reads NPROC when it first computes."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if tf.config.threading.get_intra_op_parallelism_threads() != threads:
            try:
                tf.config.threading.set_intra_op_parallelism_threads(threads)
                tf.config.threading.set_inter_op_parallelism_threads(threads)
            except RuntimeError as error:
                raise RunError(
                    f"this process cannot train by {threads} threads, as it has begun with others. Start it anew, or "
                    "give the recipe the threads it has."
                ) from error
    elif keras.backend.backend() == "torch":
        import torch

        torch.set_num_threads(threads)
    else:
        os.environ["NPROC"] = str(threads)
