"""Arrays in npz files, written atomically and checked for damage, NaN and infinity."""

import zipfile
import zlib
from collections.abc import Collection, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np

from digit_recognizer.errors import DivergedError, InputError
from digit_recognizer.utils.files import max_unpacked_bytes, read_bytes, write_atomically

# Raised by zipfile and numpy for a damaged npz, besides their own errors.
_DAMAGED = (EOFError, KeyError, MemoryError, OSError, OverflowError, RuntimeError, TypeError, ValueError)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an npz for `numpy.load(path, allow_pickle=False)`; its CRCs reveal damage.

    Raises DivergedError, and writes nothing, if a value is NaN or infinite; RunError on failure.
    """
    if wrong := _not_finite(arrays):
        raise DivergedError(f"{path}: not written, as {wrong} contains NaN or infinity. Try another recipe.")
    buffer = BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # numpy 2.1 has a keyword that 2.0 lacks
    write_atomically(path, buffer.getvalue())


def read_arrays(path: Path, names: Collection[str] = (), remedy: str = "Repeat that run.") -> dict[str, np.ndarray]:
    """Read a file of `write_arrays`.

    Raises InputError with the `remedy` if the file is missing, damaged, without one of `names`, or has NaN or infinity.
    """
    if not path.exists():
        raise InputError(f"{path}: not found. {remedy}")
    content = read_bytes(path)
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            n_bytes = sum(info.file_size for info in archive.infolist())
        if n_bytes > (most := max_unpacked_bytes(len(content))):
            raise InputError(f"{path}: unpacks to {n_bytes:,} bytes, more than the limit of {most:,}. {remedy}")
        with np.load(BytesIO(content), allow_pickle=False) as arrays:
            found = dict(arrays)
        n_arrays = int.from_bytes(content[-12:-10], "little")  # in the zip's directory, which zipfile ignores
        if len(found) != n_arrays:
            raise EOFError
    except (*_DAMAGED, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: damaged ({type(error).__name__}). {remedy}") from error
    if missing := sorted(set(names) - set(found)):
        raise InputError(f"{path}: has no array {missing[0]}. {remedy}")
    if wrong := _not_finite(found):
        raise InputError(f"{path}: {wrong} contains NaN or infinity. {remedy}")
    return found


def _not_finite(arrays: Mapping[str, np.ndarray]) -> str | None:
    """Return the name of an array with NaN or infinity, None if there is none."""
    names = (name for name, array in arrays.items() if array.dtype.kind == "f" and not np.isfinite(array).all())
    return next(names, None)
