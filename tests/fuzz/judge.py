"""What a program makes of a burst with a damaged frame: refused, as if sound, or wrong without a word."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from longexpo_cli.arrays import Array32, Array64
from longexpo_cli.colour import decode
from longexpo_cli.errors import LongexpoError, UnreadableFrameError
from longexpo_cli.gpu.device import Device
from longexpo_cli.recipe import Recipe
from longexpo_cli.stages import develop, load
from longexpo_cli.survey import survey
from longexpo_cli.types import Burst, Shot
from longexpo_cli.watch import Watch
from tests.fuzz.mutants import KINDS, mutant, recipe_mutant, write_burst

RECIPE_KIND = "recipe"
WRONG_LIGHT = 0.04  # of white, by which a pixel is wrong
WRONG_PIXELS = 0.05  # of a frame
Outcome = Literal["refused", "named", "sound", "wrong unsaid", "error"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One mutant: its number, kind and damage, what became of it, and the part of its frame that is wrong."""

    number: int
    kind: str
    damage: str
    outcome: Outcome
    wrong: float = 0.0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Sound:
    """A burst without damage: the bytes of its files and the light of its frames."""

    kind: str
    paths: tuple[Path, ...]
    data: tuple[bytes, ...]
    light: dict[tuple[Path, int], Array64]

    @property
    def source(self) -> Path:
        """The folder of frames, or the video."""
        return self.paths[0] if len(self.paths) == 1 else self.paths[0].parent


def sound(folder: Path, kind: str) -> Sound:
    """Write a sound burst of one kind."""
    paths = write_burst(folder, kind)
    burst = Sound(kind, tuple(paths), tuple(path.read_bytes() for path in paths), {})
    found = load.load(burst.source, load.Params())
    assert not found.refused
    return replace(burst, light={(shot.path, shot.frame): _light(shot) for shot in found.shots})


def judge(number: int, seed: int, bursts: dict[str, Sound], device: Device) -> Verdict:
    """Damage one frame of one burst, by number and seed, and say what the first pass of a render does."""
    kind = list(KINDS)[number % len(KINDS)]
    burst = bursts[kind]
    generator = np.random.default_rng([seed, number])
    place = int(generator.integers(len(burst.paths)))
    damage, data = mutant(burst.data[place], generator)
    path = burst.paths[place]
    path.write_bytes(data)
    try:
        found = load.load(burst.source, load.Params())
        found = survey(found, None, develop.Params(low_side=64), device, Watch())[0]
        return _verdict(number, kind, damage, found, burst, path)
    except LongexpoError as error:
        return Verdict(number, kind, damage, "refused", text=str(error))
    except Exception as error:  # what a user would get as a traceback
        return Verdict(number, kind, damage, "error", text=f"{type(error).__name__}: {error}")
    finally:
        path.write_bytes(burst.data[place])


def judge_recipe(number: int, seed: int) -> Verdict:
    """Damage a recipe, by number and seed, and say whether it is refused, or read as it is written again."""
    damage, data = recipe_mutant(np.random.default_rng([seed, number, 1]))
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        Path(file.name).write_bytes(data)
        try:
            recipe = Recipe.from_toml(Path(file.name))
            is_same = Recipe.from_toml(recipe.to_toml()) == recipe
        except LongexpoError as error:
            return Verdict(number, RECIPE_KIND, damage, "refused", text=str(error))
        except Exception as error:  # what a user would get as a traceback
            return Verdict(number, RECIPE_KIND, damage, "error", text=f"{type(error).__name__}: {error}")
    return Verdict(number, RECIPE_KIND, damage, "sound" if is_same else "wrong unsaid", text=data.decode())


def _verdict(number: int, kind: str, damage: str, found: Burst, burst: Sound, path: Path) -> Verdict:
    worst = 0.0
    for shot in found.shots:
        right = burst.light.get((shot.path, shot.frame), np.zeros(0))
        try:
            light = _light(shot)
        except UnreadableFrameError as error:
            return Verdict(number, kind, damage, "refused", text=str(error))
        is_wrong = np.abs(light - right) > WRONG_LIGHT if light.shape == right.shape else np.ones(1, bool)
        worst = max(worst, float(is_wrong.mean()))
    reasons = [why for other, why in found.refused if other.name.startswith(path.name)]  # "a.mp4 #3"
    notes = [note for note in found.all_notes if path.name in note]
    if worst > WRONG_PIXELS:
        return Verdict(number, kind, damage, "wrong unsaid", worst, "; ".join([*reasons, *notes]))
    outcome: Outcome = "refused" if reasons else "named" if notes else "sound"
    return Verdict(number, kind, damage, outcome, worst, "; ".join([*reasons, *notes]))


def _light(shot: Shot) -> Array64:
    """Return the light of a frame as it is used, H W or H W 3, balanced."""
    mosaic = develop.read(shot)
    own = mosaic.shot
    values: Array64 = mosaic.values.astype(np.float64)
    if own.cfa is None:
        encoded = (values - own.black_dn[0]) / (own.white_dn - own.black_dn[0])
        curved: Array32 = encoded.astype(np.float32)
        light = decode(curved, own.transfer).astype(np.float64)
        return np.asarray(light @ own.camera_to_working.T * own.exposure_scale)
    for at, letter in enumerate(own.cfa):
        plane = values[at // 2 :: 2, at % 2 :: 2]
        gain = own.wb_gains["RGB".index(letter)] * own.exposure_scale / (own.white_dn - own.black_dn[at])
        values[at // 2 :: 2, at % 2 :: 2] = (plane - own.black_dn[at]) * gain
    return values
