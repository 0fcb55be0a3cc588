"""The options that say where networks are trained, and the places that they mean."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from digit_recognizer.cli.app import FILE

if TYPE_CHECKING:
    from digit_recognizer.training.parallel.config import ExecutionConfig

_NAMES = ("workers", "cluster", "tls_ca_file", "tls_cert", "tls_key", "insecure")
_OPTIONS = (
    click.option("--workers", type=click.IntRange(1, 1024), default=1, metavar="N", help="Train N networks at a time."),
    click.option("--cluster", metavar="ADDRESS", help="Train by the workers of a Dask scheduler, tls://HOST:PORT."),
    click.option("--tls-ca-file", type=FILE, metavar="PEM", help="Who signed the cluster's certificates."),
    click.option("--tls-cert", type=FILE, metavar="PEM", help="This side's certificate."),
    click.option("--tls-key", type=FILE, metavar="PEM", help="Its key."),
    click.option("--insecure", is_flag=True, help="Allow a cluster by plain tcp:// on a network you trust."),
)


def execution_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options from which `places_of` makes places, in this order."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def execution_config(options: dict[str, Any]) -> "ExecutionConfig":
    """The places that the options mean, which are taken out of them. Raises InputError as `Places`."""
    from digit_recognizer.training.parallel.config import ExecutionConfig, TlsFiles

    workers, cluster, ca_file, cert, key, insecure = (options.pop(name) for name in _NAMES)
    return ExecutionConfig(workers, cluster, TlsFiles(ca_file, cert, key), insecure)
