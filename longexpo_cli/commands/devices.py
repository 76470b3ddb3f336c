"""longexpo devices: list the OpenCL devices."""

from __future__ import annotations

import json

import click

from longexpo_cli import options


@click.command(
    epilog="""\b
Examples:
  longexpo devices
  longexpo render waterfall/ --device 1"""
)
@options.json_option
def command(as_json: bool) -> None:
    """List the OpenCL devices, the default first.

    PoCL 3.0 misidentifies some recent processors; longexpo corrects the processor name unless
    LONGEXPO_NO_POCL_FIX=1 is set in the environment.
    """
    from longexpo_cli.errors import DeviceError
    from longexpo_cli.gpu.device import Device, available

    rows = []
    for number, found in enumerate(available()):
        row = {"number": number, "name": found.name.strip(), "platform": found.platform.name.strip()}
        row |= {"driver": found.driver_version.strip(), "memory_bytes": int(found.global_mem_size)}
        try:
            info = Device(found).info
            row |= {"kind": "CPU" if info.is_cpu else "GPU", "sampling": info.sampling, "error": ""}
        except DeviceError as error:
            row |= {"kind": "", "sampling": "", "error": str(error)}
        rows.append(row)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        size = f"{row['memory_bytes'] / 2**30:.1f} GiB"
        state = row["error"] or f"{row['kind']}, {size}, samples {row['sampling']}, driver {row['driver']}"
        click.echo(f"{row['number']}: {row['name']} ({row['platform']}): {state}")
