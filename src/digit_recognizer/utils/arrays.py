"""Arrays in npz files: written whole and finite, and refused when damaged."""

import zipfile
import zlib
from collections.abc import Collection, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np

from digit_recognizer.errors import DivergedError, InputError
from digit_recognizer.utils.files import max_unpacked_bytes, read_bytes, write_atomically

# What zipfile and numpy raise, besides their own, on an npz some bits of which are wrong.
_DAMAGED = (EOFError, KeyError, MemoryError, OSError, OverflowError, RuntimeError, TypeError, ValueError)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an npz, which `numpy.load(path, allow_pickle=False)` reads; its CRCs show damage.

    Raises DivergedError, and writes nothing, when a value is NaN or infinite; RunError on failure.
    """
    if wrong := _not_finite(arrays):
        raise DivergedError(f"{path}: not written, as {wrong} contains NaN or infinity. Try another recipe.")
    buffer = BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # numpy 2.1 has a keyword that 2.0 has not
    write_atomically(path, buffer.getvalue())


def read_arrays(path: Path, names: Collection[str] = (), cure: str = "Repeat that run.") -> dict[str, np.ndarray]:
    """Read what `write_arrays` wrote.

    Raises InputError with the `cure` when the file is missing, damaged, lacks one of `names`, or contains NaN or
    infinity.
    """
    if not path.exists():
        raise InputError(f"{path}: not found, and with it the predictions of that run. {cure}")
    content = read_bytes(path)
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            n_bytes = sum(info.file_size for info in archive.infolist())
        if n_bytes > max_unpacked_bytes(len(content)):
            raise InputError(f"{path}: would unpack to {n_bytes:,} bytes, too many for a run. {cure}")
        with np.load(BytesIO(content), allow_pickle=False) as arrays:
            found = dict(arrays)
        if len(found) != int.from_bytes(content[-12:-10], "little"):  # as its directory ends; zipfile does not look
            raise EOFError
    except (*_DAMAGED, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: damaged, it cannot be read ({type(error).__name__}). {cure}") from error
    if missing := sorted(set(names) - set(found)):
        raise InputError(f"{path}: {missing[0]} is missing in it. {cure}")
    if wrong := _not_finite(found):
        raise InputError(f"{path}: {wrong} contains NaN or infinity. {cure}")
    return found


def _not_finite(arrays: Mapping[str, np.ndarray]) -> str | None:
    """The name of an array with NaN or infinity, if there is one."""
    names = (name for name, array in arrays.items() if array.dtype.kind == "f" and not np.isfinite(array).all())
    return next(names, None)
