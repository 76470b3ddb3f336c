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

/* Added to speeds, half-resolution pixels: with almost no motion, samples are weighted by time alone. */
#define MIN_SPEED 0.1f
/* Part of the spacing by which an arc between two samples may deviate from its chord. */
#define MAX_SAGITTA 0.0625f
/* A path whose tangents differ from its line by less, half-resolution pixels, is replaced by a straight
   one, which moves it by less than 4/27 of that. */
#define STRAIGHT_TOLERANCE 0.03f
/* Distance of the outer nodes of three-point Gauss-Legendre quadrature from the middle, of the interval. */
#define GAUSS_OFFSET 0.38729833f

/* The four low pixels around a half-resolution pixel, edges clamped, and its fractions between them. */
typedef struct { int a, b, c, d; float u, v; } Corners;

inline Corners corners_around(int width, int height, float x, float y)
{
    x = clamp(x, 0.0f, width - 1.0f);
    y = clamp(y, 0.0f, height - 1.0f);
    int x0 = (int)x, y0 = (int)y, x1 = min(x0 + 1, width - 1), y1 = min(y0 + 1, height - 1);
    Corners four = { y0 * width + x0, y0 * width + x1, y1 * width + x0, y1 * width + x1, x - x0, y - y0 };
    return four;
}

inline float4 interpolate(Corners s, float4 a, float4 b, float4 c, float4 d)
{
    float4 top = a + s.u * (b - a), bottom = c + s.u * (d - c);
    return top + s.v * (bottom - top);
}

/* A pixel's two lines, in low pixels; the second frame's lines start `second` elements after the first's. */
inline float4 sample_lines(__global const float *lines, int second, Corners s)
{
    return interpolate(s, (float4)(vload2(s.a, lines), vload2(second + s.a, lines)),
                       (float4)(vload2(s.b, lines), vload2(second + s.b, lines)),
                       (float4)(vload2(s.c, lines), vload2(second + s.c, lines)),
                       (float4)(vload2(s.d, lines), vload2(second + s.d, lines)));
}

inline float sample_weight(__global const float *weight, Corners s)
{
    float top = weight[s.a] + s.u * (weight[s.b] - weight[s.a]);
    float bottom = weight[s.c] + s.u * (weight[s.d] - weight[s.c]);
    return top + s.v * (bottom - top);
}

inline float4 sample_tangents(__global const float *tangents, Corners s)
{
    return interpolate(s, vload4(s.a, tangents), vload4(s.b, tangents),
                       vload4(s.c, tangents), vload4(s.d, tangents));
}

/* A pixel's light in one frame, in the other where the first has no coverage, 0 where neither has; w = 0. */
inline float4 known_light(float4 here, float4 there)
{
    float4 light = here.w > 0.0f ? here / here.w : there.w > 0.0f ? there / there.w : (float4)(0.0f);
    light.w = 0.0f;
    return light;
}

/* Weight of a sample near the picture's edge: falls from 1 inside to 0 one pixel outside. */
inline float inside_weight(int width, int height, float2 at)
{
    return clamp(fmin(at.x + 1.0f, width - at.x), 0.0f, 1.0f)
         * clamp(fmin(at.y + 1.0f, height - at.y), 0.0f, 1.0f);
}

/* Both frames' paths, path(s) = s (a + s (b + s c)), and how they are sampled: .lo and .x are the first's, .hi
   and .y the second's. curved and inside are -1 for true. */
typedef struct { float4 a, b, c; float2 from, step, inv_mean_speed; int2 count, curved, inside; } Paths;

/* One frame's path; members as in Paths. */
typedef struct { float2 a, b, c; float from, step, inv_mean_speed; int count, curved; } Path;

/* What the samples of a path weigh: scale (1 - s) (level + s slope), times their speed with by_speed. */
typedef struct { float scale, level, slope; int by_speed; } Weight;

/* A frame's weight, which goes from one value to another along its path. If they are equal it is the scale, so that
   sums are rounded as without a slope. */
inline Weight weight_between(float from, float to, int by_speed)
{
    Weight changing = { 1.0f, from, to - from, by_speed }, even = { from, 1.0f, 0.0f, by_speed };
    if (from == to)
        return even;
    return changing;
}

inline float2 position(Path path, float s)
{
    return s * (path.a + s * (path.b + s * path.c));
}

/* Weight of the sample at s, without the scale. */
inline float weight_at(Path path, Weight weight, float s)
{
    float2 slope = path.a + s * (2.0f * path.b + 3.0f * s * path.c);
    float w = (1.0f - s) * (weight.level + s * weight.slope);
    if (weight.by_speed)
        w = w * (sqrt(slope.x * slope.x + slope.y * slope.y) + MIN_SPEED) * path.inv_mean_speed;
    return w;
}

/* Squared lengths of two vectors, without length()'s costly guard against overflow. */
inline float2 squared_lengths(float4 v)
{
    float4 q = v * v;
    return q.even + q.odd;
}

inline float2 speeds(Paths both, float2 s)
{
    return sqrt(squared_lengths(both.a + s.xxyy * (2.0f * both.b + 3.0f * s.xxyy * both.c)));
}

/* Both paths of the lines, with the tangents of the first and the second, over the part start..stop of the
   interval. */
inline Paths make_paths(float4 line, float4 first_tangents, float4 second_tangents, float2 p, float2 last,
                        float start, float stop, float spacing, int max_samples)
{
    float4 d0 = (float4)(first_tangents.lo, second_tangents.lo) - line;
    float4 d1 = (float4)(first_tangents.hi, second_tangents.hi) - line;
    Paths both;
    both.curved = sqrt(squared_lengths(d0)) + sqrt(squared_lengths(d1)) >= STRAIGHT_TOLERANCE;
    d0 = both.curved.xxyy ? d0 : 0.0f;
    d1 = both.curved.xxyy ? d1 : 0.0f;
    float4 m = line - d0 - d1, one = (1.0f / 3.0f) * (line + d0), two = line - (1.0f / 3.0f) * (line + d1);
    both.a = line + d0;
    both.b = -2.0f * d0 - d1;
    both.c = d0 + d1;
    float part = stop - start;
    float2 end_speeds = fmax(squared_lengths(both.a), squared_lengths(line + d1));
    float2 max_speed = sqrt(fmax(end_speeds, squared_lengths(m)));
    float2 max_bend = 2.0f * sqrt(fmax(squared_lengths(m - both.a), squared_lengths(line + d1 - m)));
    float per_px = 1.0f / spacing;
    float2 steps = part * fmax(per_px * max_speed, sqrt(per_px / (8.0f * MAX_SAGITTA) * max_bend));
    both.count = clamp(convert_int2(ceil(steps)), 1, max_samples);
    both.from = (float2)(start, 1.0f - stop);
    both.step = part / convert_float2(both.count);
    /* Mean speeds by Gauss-Legendre quadrature: the same for a path run backwards. */
    float2 middle = both.from + 0.5f * part, apart = GAUSS_OFFSET * part;
    float2 outer = speeds(both, middle - apart) + speeds(both, middle + apart);
    both.inv_mean_speed = 1.0f / (5.0f / 18.0f * outer + 8.0f / 18.0f * speeds(both, middle) + MIN_SPEED);
    int4 is_inside = p.xyxy + fmin(fmin(one, two), fmin(line, 0.0f)) >= 0.0f
                  && p.xyxy + fmax(fmax(one, two), fmax(line, 0.0f)) < last.xyxy;
    both.inside = is_inside.even & is_inside.odd;
    return both;
}

/* Sum of weighted differences to base over a path that stays inside the picture: the inner loop. */
#ifdef LONGEXPO_IMAGES
inline float4 integrate(FRAME frame, int width, float2 p, Path path, Weight weight, float4 base)
{
    float4 sum = 0.0f;
    for (float n = 0.5f; n < path.count; n += 1.0f) {
        float s = path.from + n * path.step;
        float4 light = sample_inside(frame, width, p + position(path, s));
        sum += weight_at(path, weight, s) * (light - light.w * base);
    }
    return sum;
}
#else
/* Eight positions at a time: a CPU's vectors then hold one coordinate of all. */
inline float4 integrate(FRAME frame, int width, float2 p, Path path, Weight weight, float4 base)
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
            sum += share[k] * (light - light.w * base);
        }
    }
    return sum;
}
#endif

/* The same over any path: samples outside the picture have no weight. */
inline float4 integrate_clipped(FRAME frame, int width, int height, float2 p, Path path, Weight weight, float4 base)
{
    float4 sum = 0.0f;
    for (float n = 0.5f; n < path.count; n += 1.0f) {
        float s = path.from + n * path.step;
        float2 at = p + position(path, s);
        float w = weight_at(path, weight, s) * inside_weight(width, height, at);
        at = clamp(at, (float2)(0.0f, 0.0f), (float2)(width - 1.0f, height - 1.0f));
        float4 light = sample4(frame, width, height, at.x, at.y);
        sum += w * (light - light.w * base);
    }
    return sum;
}

/* One frame's contribution: xyz the weighted difference to base, w the weight. */
inline float4 weighted_sum(FRAME frame, int width, int height, float2 p, Path path, Weight weight, bool inside,
                           float4 base)
{
    float4 sum = inside ? integrate(frame, width, p, path, weight, base)
                        : integrate_clipped(frame, width, height, p, path, weight, base);
    return weight.scale / path.count * sum;
}

/* weight and end_weight: the first frame's at the interval's start and end. */
__kernel void blur_paths(FRAME first, FRAME second, __global const float *lines, __global const float *tangents,
                         __global const float *weight, __global const float *end_weight, __global float *total,
                         int width, int height, int low_width, int low_height, float half_per_low, float start,
                         float stop, float time_weight, float spacing, int max_samples, int by_speed)
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
    float middle = 0.5f * (start + stop); /* time at which a still pixel is read */
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
    float4 sum = any(line.lo != 0.0f) || one.curved
               ? weighted_sum(first, width, height, p, one, weight_between(w, w_end, by_speed), both.inside.x, base)
               : first_weight * (here - here.w * base);
    sum += any(line.hi != 0.0f) || two.curved
         ? weighted_sum(second, width, height, p, two, weight_between(1.0f - w_end, 1.0f - w, by_speed),
                        both.inside.y, base)
         : second_weight * (there - there.w * base);
    float4 change = sum / sum.w, mean = base + (fabs(change) > SAMPLE_ROUNDING * fabs(base) ? change : 0.0f);
    mean.w = 1.0f;
    float confidence = (first_weight * here.w + second_weight * there.w) / (first_weight + second_weight);
    confidence = confidence > FULL_CONFIDENCE ? 1.0f : confidence;
    if (sum.w > MIN_WEIGHT)
        vstore4(before + time_weight * confidence * mean, at, total);
}
