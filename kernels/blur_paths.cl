/* One pair's light integrated along its paths (Tabellion 2023, equations 6 and 8).

   Frame i's light at s in 0..1 is sampled at p + path(s), a cubic from 0 to the line with given tangents at its
   ends; s is the time for the first frame and 1 - time for the second. The part from..to of the path, which
   shows the part start..stop of the interval, is sampled at midpoints

     s_n = from + (n + 1/2) / N (to - from)
     w_n = W_i(s_n) (1 - s_n) (|path'(s_n)| + MIN_SPEED) / (mean |path'| + MIN_SPEED)
     mean = sum_i 1 / N_i sum_n w_n I_i(p + path(s_n)) / sum_i 1 / N_i sum_n w_n coverage_i(p + path(s_n))

   with both passes in one numerator and one weight. W_1 = 1 - W_0, both linear in time. Speeds count only with
   by_speed: paths with known bends say where light is at a time. Where W = 1/2 the two ramps add up to the same weight at every
   instant, and a trail has the same brightness where an object is fast within the pair and where it is slow.
   Equation 8 has no mean speed. It is the same for both paths where both frames show the same object; where they do
   not, the longer path would outweigh the other. A path whose tangents equal its line is straight and weighted by
   the ramp alone.

   N is the smallest count at which neighbouring samples are no further apart than the spacing and the arc
   between them deviates from its chord by at most MAX_SAGITTA of it: the hodograph's control points d0,
   m = 3 line - d0 - d1, d1 bound the speed, twice their differences the second derivative; N is at least 1 and
   at most max_samples.

   The sum is of differences to the light at p (sampled in the same way; differences within rounding are 0), so
   equal samples return that light exactly; a zero line samples its frame once. Samples outside the picture or
   without coverage (channel 4 = 0) have no weight. total.xyz += time_weight * confidence * mean and total.w +=
   time_weight * confidence, where confidence is the mean of both frames' channel 4 at p: a pair with little
   coverage of a pixel has little weight there. */

/* Sums with less weight than this (of at most 1/2) are discarded. */
#define MIN_WEIGHT 1e-4f
/* A confidence above this differs from 1 only by rounding. */
#define FULL_CONFIDENCE 0.9995f

#include "paths.cl"

/* Sum of weighted differences to base over a path that stays inside the picture: the inner loop. */
#ifdef LONGEXPO_IMAGES
inline float4 integrate(FRAME frame, int width, float2 p, Path path, Weight weight, Shutter shutter,
                        float4 base)
{
    float4 sum = 0.0f;
    for (float n = 0.5f; n < path.count; n += 1.0f) {
        float s = path.from + n * path.step;
        float4 light = sample_inside(frame, width, p + position(path, s));
        sum += weight_of_instant(shutter, n) * weight_at(path, weight, s) * (light - light.w * base);
    }
    return sum;
}
#else
/* Eight positions at a time: a CPU's vectors then hold one coordinate of all. */
inline float4 integrate(FRAME frame, int width, float2 p, Path path, Weight weight, Shutter shutter,
                        float4 base)
{
    const float8 offsets = (float8)(0.5f, 1.5f, 2.5f, 3.5f, 4.5f, 5.5f, 6.5f, 7.5f);
    int cell[8];
    float u[8], v[8], share[8];
    float4 sum = 0.0f;
    for (int n = 0; n < path.count; n += 8) {
        float8 s = path.from + (n + offsets) * path.step, w = (1.0f - s) * (weight.level + s * weight.slope);
        float8 x = p.x + s * path.a.x, y = p.y + s * path.a.y;
        if (path.curved) {
            float8 t = s * s, dx = path.a.x + s * (2.0f * path.b.x + 3.0f * s * path.c.x);
            float8 dy = path.a.y + s * (2.0f * path.b.y + 3.0f * s * path.c.y);
            x += t * (path.b.x + s * path.c.x);
            y += t * (path.b.y + s * path.c.y);
            w *= weight.by_speed ? (sqrt(dx * dx + dy * dy) + MIN_SPEED) * path.inv_mean_speed : 1.0f;
        }
        int8 column = convert_int8(x), row = convert_int8(y);
        vstore8(row * width + column, 0, cell);
        vstore8(x - convert_float8(column), 0, u);
        vstore8(y - convert_float8(row), 0, v);
        vstore8(w, 0, share);
        int left = min(8, path.count - n);
        for (int k = 0; k < left; k++) {
            FRAME four = frame + 4 * (size_t)cell[k];
            float8 above = vload_half8(0, four), below = vload_half8(0, four + 4 * (size_t)width);
            float8 pair = above + v[k] * (below - above);
            float4 light = pair.lo + u[k] * (pair.hi - pair.lo);
            sum += weight_of_instant(shutter, n + k + 0.5f) * share[k] * (light - light.w * base);
        }
    }
    return sum;
}
#endif

/* The same over any path: samples outside the picture have no weight. */
inline float4 integrate_clipped(FRAME frame, int width, int height, float2 p, Path path, Weight weight,
                                Shutter shutter, float4 base)
{
    float4 sum = 0.0f;
    for (float n = 0.5f; n < path.count; n += 1.0f) {
        float s = path.from + n * path.step;
        float2 at = p + position(path, s);
        float w = weight_of_instant(shutter, n) * weight_at(path, weight, s) * inside_weight(width, height, at);
        at = clamp(at, (float2)(0.0f, 0.0f), (float2)(width - 1.0f, height - 1.0f));
        float4 light = sample4(frame, width, height, at.x, at.y);
        sum += w * (light - light.w * base);
    }
    return sum;
}

/* One frame's contribution: xyz the weighted difference to base, w the weight. */
inline float4 weighted_sum(FRAME frame, int width, int height, float2 p, Path path, Weight weight, Shutter shutter,
                           bool inside, float4 base)
{
    float4 sum = inside ? integrate(frame, width, p, path, weight, shutter, base)
                        : integrate_clipped(frame, width, height, p, path, weight, shutter, base);
    return weight.scale / path.count * sum;
}

/* weight and end_weight: the first frame's at the interval's start and end. curve is that of the shutter over the
   part start..stop, its mean 1, used with SHUTTER; middle the mean time of the part's light. */
__kernel void blur_paths(FRAME first, FRAME second, __global const float *lines, __global const float *tangents,
                         __global const float *weight, __global const float *end_weight, __global const float *curve,
                         __global float *total, int width, int height, int low_width, int low_height,
                         float half_per_low, float start, float stop, float middle, float time_weight, float spacing,
                         int max_samples, int by_speed)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    size_t at = (size_t)y * width + x;
    int low = low_width * low_height;
    float low_per_half = 1.0f / half_per_low;
    float low_x = (x + 0.5f) * low_per_half - 0.5f, low_y = (y + 0.5f) * low_per_half - 0.5f;
    float4 here = pixel4(first, width, x, y), there = pixel4(second, width, x, y), before = vload4(at, total);
    Corners four = corners_around(low_width, low_height, low_x, low_y);
    float w = sample_weight(weight, four), w_end = sample_weight(end_weight, four);
    float4 line = half_per_low * sample_lines(lines, low, four);
    float w_then = w + middle * (w_end - w);
    float first_weight = w_then * (1.0f - middle), second_weight = (1.0f - w_then) * middle;
    bool is_still = all(line == 0.0f);
    float4 first_ends = 0.0f, second_ends = 0.0f;
    if (!is_still || !by_speed) { /* a known bend may leave its pixel and return to it */
        first_ends = half_per_low * sample_tangents(tangents, four);
        second_ends = half_per_low * sample_tangents(tangents + 4 * (size_t)low, four);
        is_still = is_still && all(first_ends == 0.0f) && all(second_ends == 0.0f);
    }
    if (is_still && here.w == 1.0f && there.w == 1.0f) { /* most pixels of many pictures */
        float second_part = second_weight / (first_weight + second_weight);
        vstore4(before + time_weight * (here + second_part * (there - here)), at, total);
        return;
    }
    float4 base = known_light(here, there);
    float2 p = (float2)(x, y);
    Paths both = make_paths(line, first_ends, second_ends, p, (float2)(width - 1, height - 1), start, stop,
                            spacing, max_samples);
    Path one = { both.a.lo, both.b.lo, both.c.lo, both.from.x, both.step.x, both.inv_mean_speed.x,
                 both.count.x, both.curved.x };
    Path two = { both.a.hi, both.b.hi, both.c.hi, both.from.y, both.step.y, both.inv_mean_speed.y,
                 both.count.y, both.curved.y };
    Shutter forward = { curve, 0.0f, 1.0f / one.count }, backward = { curve, 1.0f, -1.0f / two.count };
    float4 sum = any(line.lo != 0.0f) || one.curved
               ? weighted_sum(first, width, height, p, one, weight_between(w, w_end, by_speed), forward,
                              both.inside.x, base)
               : first_weight * (here - here.w * base);
    sum += any(line.hi != 0.0f) || two.curved
         ? weighted_sum(second, width, height, p, two, weight_between(1.0f - w_end, 1.0f - w, by_speed), backward,
                        both.inside.y, base)
         : second_weight * (there - there.w * base);
    float4 change = sum / sum.w, mean = base + (fabs(change) > SAMPLE_ROUNDING * fabs(base) ? change : 0.0f);
    mean.w = 1.0f;
    float confidence = (first_weight * here.w + second_weight * there.w) / (first_weight + second_weight);
    confidence = confidence > FULL_CONFIDENCE ? 1.0f : confidence;
    if (sum.w > MIN_WEIGHT)
        vstore4(before + time_weight * confidence * mean, at, total);
}
