"""The print: what stands still, noise, lights, tones and files, each with a benchmark of its own.

The parts are `python -m benchmarks.print_merge` (noise, detail and ghosts of the merged frames),
`.print_noise` (the same, denoised), `.print_still` (still things as blur), `.print_lights` (clipped lights),
`.print_contours` (edges that clipping draws), `.print_tones` (local tones) and `.print_files` (which programs
read the files, tags, sizes, times). Pictures are those of the folder in LONGEXPO_PICTURES, by the numbers of
the Kodak set.
"""

from __future__ import annotations

from benchmarks import (
    print_contours,
    print_files,
    print_lights,
    print_merge,
    print_noise,
    print_still,
    print_tones,
)

PARTS = {
    "Merge": print_merge,
    "Noise": print_noise,
    "Still things": print_still,
    "Lights": print_lights,
    "Contours": print_contours,
    "Tones": print_tones,
    "Files": print_files,
}


def main() -> None:
    """Print the tables of every part, each under its name."""
    for n, (name, part) in enumerate(PARTS.items()):
        print(f"{chr(10) * (n > 0)}{name}\n{'-' * len(name)}", flush=True)
        part.main()


if __name__ == "__main__":
    main()
