"""The layers of a burst that may stand still: those that tracks show, and one that they do not."""

from __future__ import annotations

from collections.abc import Sequence

from longexpo_cli.registration.evidence import Evidence
from longexpo_cli.registration.hidden_layer import hidden_layer
from longexpo_cli.registration.refine import refine
from longexpo_cli.registration.still_layer import Layer, paths_apart
from longexpo_cli.registration.trajectories import Registration

ENOUGH = 0.9  # of the texture: a single layer that explains this much is the whole picture
SAME_PX = 0.5  # low pixels between two layers, in the frame in which they are farthest apart: one layer


def candidate_layers(
    evidence: Evidence, found: Sequence[Registration], inlier_distance: float
) -> list[Layer]:
    """Return the distinct layers among the registrations found and what they leave, with their fits.

    inlier_distance is normalised. Where there is more than one, each is registered by tracks of its own.
    """
    distinct = _distinct(evidence, list(found))
    layers = [Layer(registration, evidence.fit(registration)) for registration in distinct]
    if len(layers) == 1 and layers[0].fit.share >= ENOUGH:
        return layers
    refined = _refined(evidence, distinct, inlier_distance)
    if not refined:
        return layers
    layers = [Layer(registration, evidence.fit(registration)) for registration in refined]
    widest = max(layers, key=lambda layer: layer.fit.share)
    hidden = hidden_layer(evidence, widest.registration, widest.fit)
    if hidden is None:
        return layers
    more = _distinct(evidence, refined + _refined(evidence, [hidden], inlier_distance))[len(refined) :]
    return layers + [Layer(registration, evidence.fit(registration)) for registration in more]


def _refined(
    evidence: Evidence, registrations: list[Registration], inlier_distance: float
) -> list[Registration]:
    """Return the distinct registrations by tracks of their own, without those that are lost by it."""
    refined = [refine(evidence, registration, inlier_distance) for registration in registrations]
    return _distinct(
        evidence, [registration for registration in refined if len(registration.registered()) > 1]
    )


def _distinct(evidence: Evidence, registrations: list[Registration]) -> list[Registration]:
    """Return the registrations without those that are the same as an earlier one."""
    near = SAME_PX * evidence.normalization.low_px
    result: list[Registration] = []
    for registration in registrations:
        if all(paths_apart(registration, other)[0] > near for other in result):
            result.append(registration)
    return result
