/* The two paths of a pair's lines, and what is sampled along them: for the kernels that follow them (blur_paths,
   blur_extremes).

   Frame i's light at s in 0..1 is sampled at p + path(s), a cubic from 0 to the line with given tangents at its
   ends; s is the time for the first frame and 1 - time for the second. */

/* Added to speeds, half-resolution pixels: with almost no motion, samples are weighted by time alone. */
#define MIN_SPEED 0.1f
/* Part of the spacing by which an arc between two samples may deviate from its chord. */
#define MAX_SAGITTA 0.0625f
/* A path whose tangents differ from its line by less, half-resolution pixels, is replaced by a straight
   one, which moves it by less than 4/27 of that. */
#define STRAIGHT_TOLERANCE 0.03f
/* Distance of the outer nodes of three-point Gauss-Legendre quadrature from the middle, of the interval. */
#define GAUSS_OFFSET 0.38729833f

/* Values of the shutter curve over a part of an interval, less one: linear between them. */
#define CURVE_STEPS 32

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

/* The weight of each instant of the part start..stop: `curve` holds it at equal steps. Sample n of a path is at from +
   n step, 0..1 of the part. */
typedef struct { __global const float *curve; float from, step; } Shutter;

/* The weight of the instant of sample n, which counts from 1/2; 1 without SHUTTER. */
inline float weight_of_instant(Shutter shutter, float n)
{
#ifdef SHUTTER
    float at = CURVE_STEPS * (shutter.from + n * shutter.step);
    int step = clamp((int)at, 0, CURVE_STEPS - 1);
    return shutter.curve[step] + (at - step) * (shutter.curve[step + 1] - shutter.curve[step]);
#else
    return 1.0f;
#endif
}
