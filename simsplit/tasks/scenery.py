"""How each thing in a street is painted on the canvas, one layer to a function."""

from __future__ import annotations

import numpy as np

from simsplit.tasks.canvas import (
    BUILDING,
    CAMERA_HEIGHT_M,
    CLASSES,
    PAVEMENT,
    PERSON,
    POLE_SIGN,
    ROAD,
    VEGETATION,
    VEHICLE,
    Canvas,
    Colour,
    Flags,
    Floats,
    Patch,
    alongside,
    floats,
    rgb,
    sample,
    upright,
)
from simsplit.tasks.layout import Building, Person, Sign, Surroundings, Thing, Tree, Vehicle

_LIT_WINDOW = (1.7, 1.3, 0.75)
_GLASS = (0.13, 0.17, 0.21)
_TYRE = (0.035, 0.035, 0.04)
_IS_GROUND = np.array([name in ("road", "pavement", "vegetation") for name in CLASSES])
_SNOW = (0.80, 0.82, 0.86)
_SIGN_COLOURS: tuple[Colour, ...] = ((0.7, 0.06, 0.06), (0.06, 0.16, 0.6), (0.8, 0.62, 0.05))


def paint_sky(canvas: Canvas, around: Surroundings) -> None:
    """Paint a vertical gradient with clouds over the whole picture."""
    camera = canvas.camera
    high, low = _SKY_COLOURS[around.time_of_day]
    grey = 1.0 if around.weather else 0.25 * around.cloud
    rise = np.clip(canvas.rows_px / camera.horizon_px, 0, 1)[..., None]
    sky = rgb(high) * (1 - rise) + rgb(low) * rise
    down, right = around.texture_offset
    cover = sample(
        "soft",
        down + canvas.rows_px * (220 / camera.width_px),
        right + canvas.columns_px * (110 / camera.width_px),
    )
    cover = np.clip(0.22 * cover + around.cloud - 0.3 + 0.25 * grey, 0, 0.75)[..., None]
    canvas.colour[:] = sky * (1 - cover) + cover * rgb(_CLOUD_COLOURS[around.time_of_day])


_SKY_COLOURS: tuple[tuple[Colour, Colour], ...] = (
    ((0.16, 0.34, 0.72), (0.62, 0.76, 0.90)),
    ((0.20, 0.17, 0.32), (0.85, 0.48, 0.24)),
    ((0.05, 0.07, 0.16), (0.22, 0.20, 0.26)),
)
_CLOUD_COLOURS: tuple[Colour, ...] = ((0.78, 0.8, 0.83), (0.5, 0.34, 0.3), (0.14, 0.14, 0.17))


def paint_ground(canvas: Canvas, around: Surroundings) -> None:
    """Paint the plane Z = f h / (y - horizon): road, lane marks, kerbs, verges and pavements."""
    camera = canvas.camera
    first = int(np.count_nonzero(canvas.rows_px[:, 0] <= camera.horizon_px + 0.05))
    here = (slice(first, camera.height_px), slice(0, camera.width_px))
    depth = camera.focal_px * CAMERA_HEIGHT_M / (canvas.rows_px[here[0]] - camera.horizon_px)
    from_camera = (canvas.columns_px - camera.centre_px) * depth / camera.focal_px
    lateral = floats(from_camera - around.road_centre_m)
    canvas.depth_m[here] = depth
    beyond = floats(np.abs(lateral) - around.road_half_m)
    verge = (beyond > 0.2) & (beyond < 0.2 + around.verge_m)
    label = np.where(beyond < 0, ROAD, np.where(verge, VEGETATION, PAVEMENT))
    canvas.segmentation[here] = label
    canvas.colour[here] = _ground_colour(around, depth, lateral, beyond, verge)


def _ground_colour(
    around: Surroundings, depth: Floats, lateral: Floats, beyond: Floats, verge: Flags
) -> Floats:
    sharp = np.exp(-depth / 14)  # fine texture melts with distance
    down, right = around.texture_offset
    grain = sample("rough", down + depth * 28, right + lateral * 28) * sharp
    blotch = sample("soft", right + depth * 4, down + lateral * 9) * np.exp(-depth / 45)
    road = 0.085 + 0.011 * grain + 0.009 * blotch
    pavement = 0.25 + 0.02 * grain + 0.02 * blotch - 0.05 * _joints(depth, lateral) * sharp
    pavement = np.where(beyond < 0.2, 0.36, pavement)  # kerb stone
    marks = _lane_marks(around, depth, lateral) * np.exp(-depth / 60)
    road = road + (0.5 - road) * marks * (0.8 + 0.12 * grain)
    ground = np.where(beyond < 0, road, pavement)[..., None] * rgb((1.0, 0.99, 0.98))
    grass = rgb((0.10, 0.19, 0.05)) * (1 + 0.18 * grain + 0.15 * blotch)[..., None]
    ground = np.where(verge[..., None], grass, ground)
    if not around.snowy:
        return floats(ground)
    lane = np.abs(np.mod(lateral, around.lane_m) - around.lane_m / 2)
    tracks = np.where(beyond < 0, 1.3 * np.exp(-(((lane - 0.8) / 0.35) ** 2)), 0)
    cover = np.clip(0.75 + 0.35 * blotch - tracks, 0.05, 0.95)[..., None]
    return floats(ground * (1 - cover) + rgb(_SNOW) * cover * (0.9 + 0.03 * grain[..., None]))


def _joints(depth: Floats, lateral: Floats) -> Flags:
    joints: Flags = (np.mod(lateral, 0.9) < 0.06) | (np.mod(depth, 0.9) < 0.08)
    return joints


def _lane_marks(around: Surroundings, depth: Floats, lateral: Floats) -> Floats:
    wide = 0.07 + depth * 0.0035
    between = np.abs(np.mod(lateral + around.lane_m / 2, around.lane_m) - around.lane_m / 2)
    inside = np.abs(lateral) < around.road_half_m - 1
    dashes = (between < wide) & (np.mod(depth, 7.5) < 3.2) & inside
    edges = np.abs(np.abs(lateral) - around.road_half_m + 0.35) < wide
    return floats(dashes | edges)


def paint_skyline(canvas: Canvas, around: Surroundings) -> None:
    """Close the street's far end with a low line of trees 140 m away."""
    patch = upright(canvas, 0.0, 140.0, 140.0, 11.0)
    if patch is None:
        return
    down, right = around.texture_offset
    ragged = sample("soft", np.full((1, 1), down, np.float32), right + patch.across_m * 2.5)
    mask = patch.above_m < 6.5 + 2.0 * ragged
    leaf = rgb((0.09, 0.15, 0.07)) if not around.snowy else rgb((0.35, 0.38, 0.37))
    canvas.paint(patch, mask & (patch.above_m >= 0), leaf, VEGETATION)


def paint_building(canvas: Canvas, around: Surroundings, house: Building) -> None:
    """Paint the wall along the street and, on its near end, the gable that faces the camera."""
    _paint_gable(canvas, around, house)
    near = max(house.z_m, 1.0)
    patch = alongside(canvas, house.x_m, near, house.z_m + house.length_m, house.height_m)
    if patch is None:
        return
    span_m = patch.depth_m**2 / (canvas.camera.focal_px * abs(house.x_m))
    colour = _facade(around, house, patch, span_m, house.x_m * around.sun_side < 0)
    inside = (patch.across_m >= 0) & (patch.depth_m <= house.z_m + house.length_m)
    canvas.paint(
        patch, inside & (patch.above_m >= 0) & (patch.above_m < house.height_m), colour, BUILDING
    )


def _paint_gable(canvas: Canvas, around: Surroundings, house: Building) -> None:
    if house.z_m < 4.0 or not house.gable:
        return
    half = 4.5
    middle = house.x_m + (half if house.x_m > 0 else -half)
    patch = upright(canvas, middle, house.z_m, half, house.height_m)
    if patch is None:
        return
    span_m = patch.depth_m / canvas.camera.focal_px
    colour = _facade(around, house, patch, span_m, False) * np.float32(0.85)
    mask = (np.abs(patch.across_m) <= half) & (patch.above_m >= 0)
    canvas.paint(patch, mask & (patch.above_m < house.height_m), colour, BUILDING)


def _facade(
    around: Surroundings, house: Building, patch: Patch, span_m: Floats, sunlit: bool
) -> Floats:
    """Colour a wall (h, w, 3); ``span_m`` is what one px covers, so far windows melt together."""
    above, along = patch.above_m, patch.across_m
    stain = 1 + 0.06 * sample("rough", above * 9 + house.key, along * 9 + house.key * 7)
    storey = (above > house.storey_m).astype(np.int8) + (above > house.height_m - 0.5)
    tones = np.stack((rgb(house.shop), rgb(house.wall), rgb(house.wall) * np.float32(0.6)))
    wall = tones[storey] * stain[..., None]
    bay, floor = along / house.bay_m, above / house.storey_m
    rise = np.mod(floor, 1)
    opening = (np.abs(np.mod(bay, 1) - 0.5) < 0.27) & (rise > 0.28) & (rise < 0.78)
    opening = opening & (above < house.height_m - 0.6)
    pane = _pane(around, house, bay, floor)
    sharp = np.clip(1.7 - span_m / (0.4 * house.bay_m), 0, 1)
    share = np.where(opening, sharp, 0) + 0.27 * (1 - sharp) * (above > house.storey_m)
    bright = 1.25 if sunlit and around.weather == 0 and around.time_of_day == 0 else 0.9
    wall = wall * np.float32(bright)
    return floats(wall * (1 - share)[..., None] + pane * share[..., None])


def _pane(around: Surroundings, house: Building, bay: Floats, floor: Floats) -> Floats:
    glass = rgb(_GLASS) * (0.8 + 0.5 * np.mod(floor, 1))[..., None]
    if around.time_of_day == 0:
        return np.broadcast_to(glass, (*np.broadcast_shapes(bay.shape, floor.shape), 3))
    draw = (np.floor(bay) * 7 + np.floor(floor) * 13 + house.key).astype(np.int32) * 2654435
    lit = (draw >> 5) % 16 < (4, 4, 6)[around.time_of_day]
    glow = 0.55 + 0.1 * ((draw >> 9) % 5)
    return np.where(lit[..., None], rgb(_LIT_WINDOW) * glow[..., None], glass)


def paint_thing(canvas: Canvas, around: Surroundings, thing: Thing, owner: int) -> None:
    """Paint one tree, sign, vehicle or person; ``owner`` marks its pixels."""
    match thing:
        case Tree():
            _paint_tree(canvas, around, thing)
        case Sign():
            _paint_sign(canvas, around, thing, owner)
        case Vehicle():
            _paint_vehicle(canvas, around, thing, owner)
        case Person():
            _paint_person(canvas, thing, owner)


def _shade_ground(canvas: Canvas, thing: Thing, half_m: float, reach_m: float) -> None:
    """Darken the ground under something: an ellipse on the plane, softly."""
    patch = upright(canvas, thing.x_m, thing.z_m, half_m * 1.3, 0.3, -0.5)
    if patch is None:
        return
    away = patch.above_m * thing.z_m / CAMERA_HEIGHT_M  # metres along z on the ground
    round_m = (patch.across_m / half_m) ** 2 + (away / reach_m) ** 2
    ground = _IS_GROUND[canvas.segmentation[patch.window]]
    canvas.darken(patch, np.where(ground, 0.6 * np.exp(-(round_m**2)), 0).astype(np.float32))


def _paint_tree(canvas: Canvas, around: Surroundings, tree: Tree) -> None:
    _shade_ground(canvas, tree, 0.5, 0.6)
    patch = upright(canvas, tree.x_m, tree.z_m, tree.width_m / 2, tree.height_m)
    if patch is None:
        return
    u, v = patch.across_m / (tree.width_m / 2), patch.above_m / tree.height_m
    down, right = tree.offset
    ragged = sample("soft", down + v * 150, right + u * 60)
    leaves = sample("rough", right + v * 90, down + u * 40)
    crown = u**2 + ((v - 0.64) / 0.36) ** 2 < 0.72 + 0.22 * ragged + 0.06 * leaves
    trunk = (np.abs(patch.across_m) < 0.05 * tree.height_m * (0.6 - 0.4 * v)) & (v < 0.5)
    light = 0.75 + 0.5 * (v - 0.6) + 0.14 * u * around.sun_side + 0.13 * leaves + 0.1 * ragged
    leaf = rgb(tree.leaf) * np.clip(light, 0.25, 1.6)[..., None]
    if around.snowy:
        leaf = leaf + rgb((0.5, 0.52, 0.54)) * np.clip(0.4 * leaves + v - 0.3, 0, 1)[..., None]
    colour = np.where(crown[..., None], leaf, rgb((0.085, 0.065, 0.05)))
    canvas.paint(patch, (crown | trunk) & (v >= 0), colour, VEGETATION)


def _paint_sign(canvas: Canvas, around: Surroundings, sign: Sign, owner: int) -> None:
    patch = upright(canvas, sign.x_m, sign.z_m, 0.45, sign.height_m)
    if patch is None:
        return
    half_px_m = 0.5 * sign.z_m / canvas.camera.focal_px
    pole = (np.abs(patch.across_m) < max(0.055, half_px_m)) & (patch.above_m >= 0)
    plate, face = _plate(around, sign, patch)
    colour = np.where(plate[..., None], face, rgb((0.17, 0.17, 0.18)))
    canvas.paint(patch, (pole | plate) & (patch.above_m < sign.height_m), colour, POLE_SIGN, owner)


def _plate(around: Surroundings, sign: Sign, patch: Patch) -> tuple[Flags, Floats]:
    """Give the plate's mask (h, w) and its colours (h, w, 3) or (3,)."""
    u, v = np.abs(patch.across_m), patch.above_m - sign.height_m + 0.4  # v: from plate's middle
    if sign.shape == 3:
        return (u < 0.17) & (np.abs(v) < 0.4), _traffic_light(sign, u, v)
    if sign.shape == 4:
        lamp = rgb((1.9, 1.6, 1.1)) if around.time_of_day else rgb((0.3, 0.3, 0.3))
        return (u < 0.4) & (v > 0.2), lamp
    far = (np.hypot(u, v), np.maximum(u, np.abs(v)), np.maximum(2 * u + v - 0.1, -v))[sign.shape]
    face = np.where((far > 0.26)[..., None], rgb((0.75, 0.75, 0.75)), rgb(_SIGN_COLOURS[sign.tint]))
    return far < 0.38, face


def _traffic_light(sign: Sign, u: Floats, v: Floats) -> Floats:
    lamp = (u < 0.11) & (np.abs(v - (0.25, 0.0, -0.25)[sign.tint]) < 0.12)
    glow = rgb(((1.8, 0.15, 0.1), (1.7, 1.1, 0.1), (0.2, 1.6, 0.5))[sign.tint])
    return np.where(lamp[..., None], glow, rgb((0.03, 0.03, 0.03)))


def _paint_vehicle(canvas: Canvas, around: Surroundings, car: Vehicle, owner: int) -> None:
    _shade_ground(canvas, car, car.width_m * 0.55, 1.1)
    if car.kind == 3:
        _paint_profile(canvas, car, owner)
        return
    _paint_flank(canvas, car, owner)
    patch = upright(canvas, car.x_m, car.z_m, car.width_m / 2, car.height_m)
    if patch is None:
        return
    u, v = patch.across_m / (car.width_m / 2), patch.above_m / car.height_m
    slope = 0.5 if car.kind == 0 else 0.1
    outer = np.abs(u) if abs(car.x_m) < car.width_m / 2 + 0.2 else (u if car.x_m > 0 else -u)
    body = (v > 0.13) & (v < 1) & (outer < 1 - slope * np.clip(v - 0.55, 0, 1)) & (np.abs(u) < 1)
    wheels = (v >= 0) & (v < 0.3) & (np.abs(np.abs(u) - 0.78) < 0.17)
    colour = _tail_colour(around, car, u, v)
    canvas.paint(patch, body | wheels, colour, VEHICLE, owner)


def _tail_colour(around: Surroundings, car: Vehicle, u: Floats, v: Floats) -> Floats:
    """Colour the end that faces the camera: paint, screen, bumper, plate, wheels, lamps."""
    shade = (0.8 + 0.35 * v + 0.06 * np.sin(9 * v) - 0.1 * u**2)[..., None]
    low = 0.6 if car.kind != 2 else 0.75
    glass = (v > low) & (v < 0.92) & (np.abs(u) < 1.12 - 0.42 * v) & (car.kind != 2 or car.oncoming)
    screen = rgb(_GLASS) * (0.6 + 1.2 * np.clip(v - low + 0.3 * u, 0, 1))[..., None]
    colour = np.where(glass[..., None], screen, rgb(car.paint) * shade)
    dark = ((v < 0.27) | ((np.abs(v - 0.36) < 0.035) & (np.abs(u) < 0.9)))[..., None]
    colour = np.where(dark, rgb(_TYRE) * 1.8, colour)
    plate = (np.abs(u) < 0.24) & (np.abs(v - 0.36) < 0.045)
    colour = np.where(plate[..., None], rgb((0.6, 0.6, 0.55)), colour)
    lamp = (np.abs(np.abs(u) - 0.8) < 0.14) & (np.abs(v - 0.48) < 0.065)
    white, red = rgb((1.0, 0.98, 0.9)), rgb((0.75, 0.05, 0.04))
    glow = (0.8, 1.6, 2.2)[around.time_of_day]
    return np.where(lamp[..., None], (white if car.oncoming else red) * np.float32(glow), colour)


def _paint_flank(canvas: Canvas, car: Vehicle, owner: int) -> None:
    """Paint the side that shows when the vehicle stands left or right of the camera."""
    edge_m = abs(car.x_m) - car.width_m / 2
    if edge_m < 0.2:
        return
    plane_m = edge_m if car.x_m > 0 else -edge_m
    patch = alongside(canvas, plane_m, car.z_m, car.z_m + car.length_m, car.height_m)
    if patch is None:
        return
    away = patch.across_m / car.length_m  # 0: the end face we see, 1: the far end
    along = 1 - away if car.oncoming else away  # 0: tail, 1: nose
    fall = 0.42 if car.kind == 0 else 0.0
    line = 1 - fall * np.clip((away - 0.62) / 0.2, 0, 1)
    mask, colour = _side(car, along, patch.above_m / car.height_m, line)
    inside = (away >= 0) & (away <= 1)
    canvas.paint(patch, mask & inside, colour * np.float32(0.8), VEHICLE, owner)


def _paint_profile(canvas: Canvas, car: Vehicle, owner: int) -> None:
    """Paint a car that crosses the street."""
    patch = upright(canvas, car.x_m, car.z_m, car.length_m / 2, car.height_m)
    if patch is None:
        return
    along = patch.across_m / car.length_m + 0.5
    along = 1 - along if car.oncoming else along
    roof = np.clip(np.minimum((along - 0.02) / 0.16, (0.8 - along) / 0.2), 0, 1)
    mask, colour = _side(car, along, patch.above_m / car.height_m, 0.58 + 0.42 * roof)
    mask = mask & (along >= 0) & (along <= 1)
    canvas.paint(patch, mask, colour, VEHICLE, owner)


def _side(car: Vehicle, along: Floats, v: Floats, line: Floats) -> tuple[Flags, Floats]:
    """Give mask and colours of a vehicle's side; along runs from tail (0) to nose (1).

    ``line`` (1, w) is the silhouette's height as a share of the vehicle's.
    """
    boxy = car.kind in (1, 2)
    body = (v > 0.14) & (v < line)
    hub = np.minimum(np.abs(along - 0.19), np.abs(along - 0.8)) * car.length_m
    wheel = np.hypot(hub, (v - 0.2) * car.height_m) < 0.34
    glass = (v > 0.6) & (v < line - 0.07) & (np.abs(along - 0.47) > 0.015)
    glass = glass & ((along > 0.58) if boxy else (along > 0.0))
    shade = (0.75 + 0.4 * v)[..., None]
    colour = np.where(glass[..., None], rgb(_GLASS), rgb(car.paint) * shade)
    colour = np.where((wheel | (v < 0.2))[..., None], rgb(_TYRE), colour)
    return body | (wheel & (v >= 0)), colour


def _paint_person(canvas: Canvas, person: Person, owner: int) -> None:
    _shade_ground(canvas, person, 0.35, 0.35)
    patch = upright(canvas, person.x_m, person.z_m, 0.42, person.height_m)
    if patch is None:
        return
    u, v = patch.across_m * 1.75 / person.height_m, patch.above_m / person.height_m
    swing = person.stride * (0.5 - v)
    head = (u / 0.11) ** 2 + ((v - 0.925) / 0.075) ** 2 < 1
    trunk = (v > 0.46) & (v < 0.85) & (np.abs(u) < 0.23 - 0.16 * np.abs(v - 0.76))
    reach = 0.25 + 0.3 * person.stride * (0.8 - v)
    arms = (v > 0.44) & (v < 0.8) & (np.abs(np.abs(u) - reach) < 0.055)
    legs = (v >= 0) & (v <= 0.48) & (np.abs(np.abs(u) - 0.08 - np.abs(swing)) < 0.085)
    shade = (0.9 + 0.25 * (v - 0.5) - 0.5 * u)[..., None]
    cloth = np.where((trunk | arms)[..., None], rgb(person.coat), rgb(person.legs))
    hair = (v > 0.955) | (u < -0.06)
    face = np.where(hair[..., None], rgb((0.05, 0.04, 0.03)), rgb(person.skin))
    colour = np.where(head[..., None], face, cloth * shade)
    canvas.paint(patch, head | trunk | arms | legs, colour, PERSON, owner)
