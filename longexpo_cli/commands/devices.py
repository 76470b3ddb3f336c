"""longexpo devices: the devices that --device can choose."""

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

    The environment variable LONGEXPO_NO_POCL_FIX=1 leaves the processor name of PoCL 3.0 as it is (by default
    a name that its compiler cannot generate code for is replaced).
    """
    from longexpo_cli.errors import DeviceError
    from longexpo_cli.gpu.device import Device, available

    rows = []
    for number, found in enumerate(available()):
        row = {"number": number, "name": found.name.strip(), "platform": found.platform.name.strip()}
        row |= {"driver": found.driver_version.strip(), "memory_bytes": int(found.global_mem_size)}
        try:
            info = Device(found).info
            row |= {"kind": "CPU" if info.is_cpu else "GPU", "samples": info.sampling, "trouble": ""}
        except DeviceError as error:
            row |= {"kind": "", "samples": "", "trouble": str(error)}
        rows.append(row)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        size = f"{row['memory_bytes'] / 2**30:.1f} GiB"
        state = row["trouble"] or f"{row['kind']}, {size}, samples {row['samples']}, driver {row['driver']}"
        click.echo(f"{row['number']}: {row['name']} ({row['platform']}): {state}")
