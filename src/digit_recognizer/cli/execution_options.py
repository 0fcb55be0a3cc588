"""The options for where networks are trained."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from digit_recognizer.cli.app import FILE

if TYPE_CHECKING:
    from digit_recognizer.training.parallel.config import ExecutionConfig

_NAMES = ("workers", "dask_scheduler", "tls_ca_file", "tls_cert", "tls_key", "insecure")
_OPTIONS = (
    click.option("--workers", type=click.IntRange(1, 1024), default=1, metavar="N", help="Train N networks at a time."),
    click.option(
        "--dask-scheduler", metavar="ADDRESS", help="Train on the workers of a Dask scheduler, tls://HOST:PORT."
    ),
    click.option("--tls-ca-file", type=FILE, metavar="PEM", help="The authority that signed its certificates."),
    click.option("--tls-cert", type=FILE, metavar="PEM", help="Your certificate."),
    click.option("--tls-key", type=FILE, metavar="PEM", help="Its key."),
    click.option("--insecure", is_flag=True, help="Allow a scheduler by plain tcp:// on a network you trust."),
)


def execution_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options from which `execution_config` is made."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def execution_config(options: dict[str, Any]) -> "ExecutionConfig":
    """The config of the options, which are taken out of them. Raises InputError as `ExecutionConfig`."""
    from digit_recognizer.training.parallel.config import ExecutionConfig, TlsFiles

    workers, scheduler, ca_file, cert, key, insecure = (options.pop(name) for name in _NAMES)
    return ExecutionConfig(workers, scheduler, TlsFiles(ca_file, cert, key), insecure)
