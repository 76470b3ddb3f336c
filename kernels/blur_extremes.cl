/* The brightest light that passes a pixel during a pair, or the darkest, along the paths of blur_paths.

   Of each colour separately, over the samples of both frames' paths, decoded to v = light / clip_light:

     brightest: extreme = max(extreme, c (b + g (v - b))), darkest: extreme = min(extreme, b + g (v - b))

   b is the light at the pixel itself, g = min(4 W_i(s), 1) keeps away light of a frame that does not show what is
   at the pixel then, and c is the shutter's weight of the instant over its largest, peak that of the part's largest.
   What passes is seen by both frames at the same instant, each on its own path; what is behind it is read there
   where it is not, and the other frame shows something else. So the darkest light counts in as far as the other frame
   shows light alike in all colours, unless it is nearer to the pixel than NEAR_PX. The brightest needs no witness:
   the peak of a small lamp is easily missed, and trails would be darker. Samples without coverage do not count.
   Channel 4 of extreme is 1 once a sample was seen.

   The brightest is looked for between pixels (peaked, in common.cl): nothing gets brighter than clip_light that was
   not. Samples that cannot be brighter than what was seen, those of the darkest, and where one of the 16 pixels is not
   fully covered, are bilinear. */

#include "paths.cl"

/* Samples with less coverage than this are of a frame's border. */
#define MIN_COVERAGE 0.15f
/* A frame of this weight, of 1, counts fully. */
#define FULL_WEIGHT 0.25f
/* By which the peak may exceed the bilinear sample: 1.156 in each direction, a quarter of a pixel from a point. */
#define MOST_PEAK 1.35f
/* Half-resolution pixels: light that is read nearer to the pixel was seen there by the frame that is read; at twice
   that the other frame must show it. */
#define NEAR_PX 1.0f
/* Two surfaces are the same if their light differs by up to this part, or this much of clip_light; at twice that
   they are not. */
#define ALIKE 0.2f
#define MIN_ALIKE 0.005f

/* Soft gamma undone: v 0..1. */
inline float4 decoded(float4 g, float k)
{
    float4 bounded = clamp(g, 0.0f, 1.0f);
    return k == 1.0f ? g : g <= 0.0f ? g * k : bounded / (bounded + (1.0f - bounded) / k);
}

/* How far the darkest light v is that of what the other frame shows as u; where it is not darker than base, it is. */
inline float4 alike(float4 v, float4 u, float4 base)
{
    float4 ratio = fabs(u - v) / (ALIKE * fmax(fmax(u, v), 0.0f) + MIN_ALIKE);
    return v < base ? (float4)(clamp(2.0f - fmax(fmax(ratio.x, ratio.y), ratio.z), 0.0f, 1.0f)) : 1.0f;
}

/* Four pixels in a row from (x, y) on, edges clamped. */
inline float16 row_of_four(FRAME frame, int width, int height, int x, int y)
{
    y = clamp(y, 0, height - 1);
#ifndef LONGEXPO_IMAGES
    if (x >= 0 && x + 3 < width)
        return vload_half16(0, frame + 4 * ((size_t)y * width + x));
#endif
    int last = width - 1;
    return (float16)(pixel4(frame, width, clamp(x, 0, last), y), pixel4(frame, width, clamp(x + 1, 0, last), y),
                     pixel4(frame, width, clamp(x + 2, 0, last), y), pixel4(frame, width, clamp(x + 3, 0, last), y));
}

/* Light and confidence at a place inside the frame. */
inline float4 peaked_sample(FRAME frame, int width, int height, float2 at)
{
    float2 whole = floor(at), part = at - whole;
    int x = (int)whole.x - 1, y = (int)whole.y - 1;
    float16 r0 = row_of_four(frame, width, height, x, y), r1 = row_of_four(frame, width, height, x, y + 1);
    float16 r2 = row_of_four(frame, width, height, x, y + 2), r3 = row_of_four(frame, width, height, x, y + 3);
    if (any(fmin(fmin(r0, r1), fmin(r2, r3)).s37bf < 1.0f))
        return sample4(frame, width, height, at.x, at.y);
    float16 column = peaked_columns(r0, r1, r2, r3, part.y, 1.0f);
    return peaked(column.s0123, column.s4567, column.s89ab, column.scdef, part.x, 1.0f);
}

/* extreme with the samples of one path. */
inline float4 passing(float4 extreme, FRAME frame, FRAME other, int width, int height, float2 p, Path path,
                      Path back, Weight weight, Shutter shutter, float4 base, float k, float peak, int is_darkest)
{
    for (float n = 0.5f; n < path.count; n += 1.0f) {
        float s = path.from + n * path.step;
        float2 at = p + position(path, s);
        if (inside_weight(width, height, at) < 1.0f)
            continue;
        float4 light = sample4(frame, width, height, at.x, at.y);
        if (light.w < MIN_COVERAGE)
            continue;
        float share = fmin(weight.scale * (weight.level + s * weight.slope) / FULL_WEIGHT, 1.0f);
        float scale = peak * weight_of_instant(shutter, n);
        float4 most = scale * (base + share * (decoded(MOST_PEAK * light / light.w, k) - base));
        if (!is_darkest && any(floor(at) != at) && (extreme.w == 0.0f || any(most.xyz > extreme.xyz)))
            light = peaked_sample(frame, width, height, at);
        float4 seen = decoded(light / light.w, k), v = scale * (base + share * (seen - base));
        float alone = 2.0f - length(at - p) / NEAR_PX;
        float2 there = p + position(back, 1.0f - s);
        if (is_darkest && alone < 1.0f && inside_weight(width, height, there) >= 1.0f
            && (extreme.w == 0.0f || any(v.xyz < extreme.xyz))) {
            float4 witness = sample4(other, width, height, there.x, there.y);
            if (witness.w >= MIN_COVERAGE) {
                float4 part = fmax(alike(seen, decoded(witness / witness.w, k), base), alone);
                v = scale * (base + share * part * (seen - base));
            }
        }
        v = extreme.w == 0.0f ? v : is_darkest ? fmin(extreme, v) : fmax(extreme, v);
        extreme = (float4)(v.xyz, 1.0f);
    }
    return extreme;
}

__kernel void blur_extremes(__global float *extreme, FRAME first, FRAME second, __global const float *lines,
                            __global const float *tangents, __global const float *weight,
                            __global const float *end_weight, __global const float *curve, int width, int height,
                            int low_width, int low_height, float half_per_low, float start, float stop,
                            float spacing, int max_samples, float k, float peak, int is_darkest)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    size_t at = (size_t)y * width + x;
    int low = low_width * low_height;
    float low_x = (x + 0.5f) / half_per_low - 0.5f, low_y = (y + 0.5f) / half_per_low - 0.5f;
    Corners four = corners_around(low_width, low_height, low_x, low_y);
    float w = sample_weight(weight, four), w_end = sample_weight(end_weight, four);
    float2 p = (float2)(x, y);
    Paths both = make_paths(half_per_low * sample_lines(lines, low, four), half_per_low * sample_tangents(tangents, four),
                            half_per_low * sample_tangents(tangents + 4 * (size_t)low, four), p,
                            (float2)(width - 1, height - 1), start, stop, spacing, max_samples);
    Path one = { both.a.lo, both.b.lo, both.c.lo, both.from.x, both.step.x, both.inv_mean_speed.x,
                 both.count.x, both.curved.x };
    Path two = { both.a.hi, both.b.hi, both.c.hi, both.from.y, both.step.y, both.inv_mean_speed.y,
                 both.count.y, both.curved.y };
    Shutter forward = { curve, 0.0f, 1.0f / one.count }, backward = { curve, 1.0f, -1.0f / two.count };
    float4 base = decoded(known_light(pixel4(first, width, x, y), pixel4(second, width, x, y)), k);
    float4 passed = passing(vload4(at, extreme), first, second, width, height, p, one, two, weight_between(w, w_end, 0),
                            forward, base, k, peak, is_darkest);
    passed = passing(passed, second, first, width, height, p, two, one, weight_between(1.0f - w_end, 1.0f - w, 0), backward,
                     base, k, peak, is_darkest);
    vstore4(passed, at, extreme);
}
