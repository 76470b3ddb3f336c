/* Gather one pair's light along its paths (Tabellion 2023, equations 6 and 8).

   Frame i's light at s in 0..1 is sampled at p + path(s), a cubic from 0 to the line with given tangents at its
   ends; s is the time for the first frame and 1 - time for the second. Over the part from..to of the path that
   shows the part start..stop of the interval, at midpoints

     s_n = from + (n + 1/2) / N (to - from),   w_n = (1 - s_n) (|path'(s_n)| + EVEN) / (mean |path'| + EVEN)
     mean = sum_i W_i / N_i sum_n w_n I_i(p + path(s_n)) / sum_i W_i / N_i sum_n w_n known_i(p + path(s_n))

   both passes in one numerator and one weight: where W = 1/2 the two ramps add to the same weight at every
   instant, and a trail is as bright where a thing was fast within the pair as where it was slow. Equation 8
   leaves out the mean speed, which both paths share where both see the same thing; where they do not, the
   longer path would drown the other. A path with tangents equal to its line is straight and all of this
   the ramp alone.

   N is the least at which neighbouring samples lie no further apart than the spacing, and the arc between them
   leaves its chord by no more than FLAT of it: the hodograph's control points d0, m = 3 line - d0 - d1, d1
   bound the speed, twice their differences the second derivative; at least 1, at most `most`.

   The sum is taken of differences to the light at p, read as the samples are and 0 where they are but rounding,
   so equal samples return that light exactly: a zero line reads its frame alone, once. What lies beyond the
   picture or is unknown (channel 4 = 0) counts nothing.
   total.xyz += share * trust * mean and total.w += share * trust, where trust is the mean of both frames'
   channel 4 at p: a pair that hardly knows a pixel hardly counts there.

   Lines, tangents and weights are bilinear between the four low cells around p. Where a guide is given
   (blur_guide) and lines around differ, they follow the edges of the picture instead, by joint bilateral
   upsampling (Kopf 2007, doi:10.1145/1276377.1276497) over the 4 x 4 cells q around p:

     line(p) = sum_q b(|p - q| / 2) r(d_q) line(q) / sum_q b r
     b(t) = (1 - t^2)^2 for t < 1, else 0,   r(d) = (1 + d^2 / ALIKE^2)^-2

   d_q^2 sums over both frames' colours the squared difference of the pixel's and the cell's, square-rooted:
   the cell most like p has nearly all the weight, whatever the contrast; where none stands out by more than
   ALIKE, b alone decides. Differences to the nearest cell are summed, so equal lines come out exactly. */

/* A pair that knows less than this weight (of at most 1/2) of a pixel knows nothing of it. */
#define LEAST_KNOWN 1e-4f
/* From here on only rounding is missing. */
#define WHOLLY_KNOWN 0.9995f

/* Difference in square-rooted light, under soft gamma, below which a pixel and a low cell are alike. */
#define ALIKE 0.04f
/* Added to speeds, half-resolution pixels: what hardly moves is weighted by time alone. */
#define EVEN 0.1f
/* Part of the spacing by which an arc between two samples may leave its chord. */
#define FLAT 0.0625f
/* A path whose tangents differ from its line by less, half-resolution pixels, is straight: it is then off by
   less than 4/27 of that. */
#define STRAIGHT 0.03f
/* Half the distance of the outer points of Gauss's three from the middle, of the whole. */
#define GAUSS 0.38729833f

/* How much of a sample lies inside the picture: it fades to nothing within one pixel beyond the edge. */
inline float inside_share(int width, int height, float2 at)
{
    return clamp(fmin(at.x + 1.0f, width - at.x), 0.0f, 1.0f)
         * clamp(fmin(at.y + 1.0f, height - at.y), 0.0f, 1.0f);
}

/* path(s) = s (a + s (b + s c)). */
typedef struct { float2 a, b, c; } Cubic;

inline float2 place(Cubic path, float s)
{
    return s * (path.a + s * (path.b + s * path.c));
}

/* The length of a vector: nothing here is near overflow, which length() guards against at a cost. */
inline float size(float2 v)
{
    return sqrt(v.x * v.x + v.y * v.y);
}

inline float speed(Cubic path, float s)
{
    return size(path.a + s * (2.0f * path.b + 3.0f * s * path.c));
}

/* Mean speed over from..to by Gauss's rule: the same for a path run backwards. */
inline float mean_speed(Cubic path, float from, float to)
{
    float middle = 0.5f * (from + to), apart = GAUSS * (to - from);
    return (5.0f * (speed(path, middle - apart) + speed(path, middle + apart)) + 8.0f * speed(path, middle)) / 18.0f;
}

/* Sum of weighted differences to base over a path that stays inside the picture: nearly all the time is
   spent here. */
inline float4 along(FRAME frame, int width, float2 p, Cubic path, float4 base,
                    float from, float step, int count, float even)
{
    float4 sum = 0.0f;
    for (float n = 0.5f; n < count; n += 1.0f) {
        float s = from + n * step;
        float w = (1.0f - s) * (speed(path, s) + EVEN) * even;
        float4 light = sample_inside(frame, width, p + place(path, s));
        sum += w * (light - light.w * base);
    }
    return sum;
}

/* The same over any path: what lies beyond the picture counts nothing. */
inline float4 along_the_edge(FRAME frame, int width, int height, float2 p, Cubic path,
                             float4 base, float from, float step, int count, float even)
{
    float4 sum = 0.0f;
    for (float n = 0.5f; n < count; n += 1.0f) {
        float s = from + n * step;
        float2 at = p + place(path, s);
        float w = (1.0f - s) * (speed(path, s) + EVEN) * even * inside_share(width, height, at);
        at = clamp(at, (float2)(0.0f, 0.0f), (float2)(width - 1.0f, height - 1.0f));
        float4 light = sample4(frame, width, height, at.x, at.y);
        sum += w * (light - light.w * base);
    }
    return sum;
}

/* One frame's share of the sums: xyz the weighted difference to base, w the weight. */
inline float4 pass(FRAME frame, int width, int height, float2 p, float2 line, float4 ends,
                   float4 base, float from, float to, float weight, float spacing, int most)
{
    float2 d0 = ends.lo - line, d1 = ends.hi - line;
    if (size(d0) + size(d1) < STRAIGHT)
        d0 = d1 = 0.0f;
    float2 m = line - d0 - d1;
    Cubic path = { line + d0, -2.0f * d0 - d1, d0 + d1 };
    float fastest = fmax(fmax(size(line + d0), size(line + d1)), size(m));
    float bend = 2.0f * fmax(size(m - line - d0), size(line + d1 - m));
    float steps = fmax(fastest / spacing, sqrt(bend / (8.0f * FLAT * spacing)));
    int count = clamp((int)ceil((to - from) * steps), 1, most);
    float step = (to - from) / count;
    float2 one = (line + d0) / 3.0f, two = line - (line + d1) / 3.0f;
    float2 least = p + fmin(fmin(one, two), fmin(line, 0.0f)), largest = p + fmax(fmax(one, two), fmax(line, 0.0f));
    bool inside = least.x >= 0.0f && least.y >= 0.0f && largest.x < width - 1 && largest.y < height - 1;
    float even = 1.0f / (mean_speed(path, from, to) + EVEN);
    float4 sum;
    if (!inside)
        sum = along_the_edge(frame, width, height, p, path, base, from, step, count, even);
    else
        sum = along(frame, width, p, path, base, from, step, count, even);
    return weight / count * sum;
}

/* Where a half-resolution pixel lies between four of the low grid, edges clamped. */
typedef struct { int a, b, c, d; float u, v; } Spot;

inline Spot spot(int width, int height, float x, float y)
{
    x = clamp(x, 0.0f, width - 1.0f);
    y = clamp(y, 0.0f, height - 1.0f);
    int x0 = (int)x, y0 = (int)y, x1 = min(x0 + 1, width - 1), y1 = min(y0 + 1, height - 1);
    Spot spot = { y0 * width + x0, y0 * width + x1, y1 * width + x0, y1 * width + x1, x - x0, y - y0 };
    return spot;
}

inline float4 between(Spot spot, float4 a, float4 b, float4 c, float4 d)
{
    float4 top = a + spot.u * (b - a), bottom = c + spot.u * (d - c);
    return top + spot.v * (bottom - top);
}

/* A pixel's two lines, the tangents of each, and the first frame's weight; lengths in low pixels. In arrays of
   low cells, the second frame's lines and tangents lie `second` cells after the first's. */
typedef struct { float4 line, early, late; float weight; } Motion;

/* Bilinear between a pixel's four cells, the tangents left out: what does not move needs none. */
inline Motion pull_motion(__global const float *lines, __global const float *weight, int second, Spot s)
{
    float top = weight[s.a] + s.u * (weight[s.b] - weight[s.a]);
    float bottom = weight[s.c] + s.u * (weight[s.d] - weight[s.c]);
    float4 line = between(s, (float4)(vload2(s.a, lines), vload2(second + s.a, lines)),
                          (float4)(vload2(s.b, lines), vload2(second + s.b, lines)),
                          (float4)(vload2(s.c, lines), vload2(second + s.c, lines)),
                          (float4)(vload2(s.d, lines), vload2(second + s.d, lines)));
    Motion motion = { line, 0.0f, 0.0f, top + s.v * (bottom - top) };
    return motion;
}

inline float4 pull_ends(__global const float *ends, Spot s)
{
    return between(s, vload4(s.a, ends), vload4(s.b, ends), vload4(s.c, ends), vload4(s.d, ends));
}

/* A pixel's light in one frame, in the other where that knows nothing, 0 where neither does; w = 0. */
inline float4 light_of(float4 here, float4 there)
{
    float4 light = here.w > 0.0f ? here / here.w : there.w > 0.0f ? there / there.w : (float4)(0.0f);
    light.w = 0.0f;
    return light;
}

/* The same as blur_guide keeps it. */
inline float4 look_of(float4 here, float4 there)
{
    return sqrt(fmax(light_of(here, there), 0.0f));
}

/* Of the colours alone. */
inline float square(float4 v)
{
    return v.x * v.x + v.y * v.y + v.z * v.z;
}

/* The mean of the cells around (x, y) by distance and by likeness to the colours one and two. */
inline Motion along_edges(__global const float *lines, __global const float *ends,
                          __global const float *weight, __global const half *guide, int width, int height,
                          float x, float y, int nearest, float4 one, float4 two)
{
    int second = width * height, left = (int)floor(x) - 1, top = (int)floor(y) - 1;
    Motion base = { (float4)(vload2(nearest, lines), vload2(second + nearest, lines)), vload4(nearest, ends),
                    vload4(second + nearest, ends), weight[nearest] };
    float4 line = 0.0f, early = 0.0f, late = 0.0f;
    float total = 0.0f, share = 0.0f;
    for (int j = max(top, 0); j <= min(top + 3, height - 1); j++)
        for (int i = max(left, 0); i <= min(left + 3, width - 1); i++) {
            float near = fmax(1.0f - 0.25f * ((i - x) * (i - x) + (j - y) * (j - y)), 0.0f);
            if (near == 0.0f)
                continue;
            int cell = j * width + i;
            float unlike = square(vload_half4(2 * cell, guide) - one)
                         + square(vload_half4(2 * cell + 1, guide) - two);
            float like = near / (1.0f + unlike / (ALIKE * ALIKE)), w = like * like;
            total += w;
            line += w * ((float4)(vload2(cell, lines), vload2(second + cell, lines)) - base.line);
            early += w * (vload4(cell, ends) - base.early);
            late += w * (vload4(second + cell, ends) - base.late);
            share += w * (weight[cell] - base.weight);
        }
    float part = 1.0f / total;
    Motion motion = { base.line + part * line, base.early + part * early, base.late + part * late,
                      base.weight + part * share };
    return motion;
}

/* guided: 1 where guide is one, 0 for bilinear lookups alone (any array then stands in its place). */
__kernel void blur_paths(__global const float *total, FRAME first, FRAME second,
                         __global const float *lines, __global const float *ends,
                         __global const float *weight, __global const half *guide, __global float *result,
                         int width, int height, int low_width, int low_height, int guided, float half_per_low,
                         float start, float stop, float share, float spacing, int most)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    size_t at = (size_t)y * width + x;
    int low = low_width * low_height;
    float low_per_half = 1.0f / half_per_low;
    float low_x = (x + 0.5f) * low_per_half - 0.5f, low_y = (y + 0.5f) * low_per_half - 0.5f;
    float4 here = pixel4(first, width, x, y), there = pixel4(second, width, x, y), before = vload4(at, total);
    int nearest = 0;
    bool differ = false;
    if (guided) {
        nearest = clamp((int)rint(low_y), 0, low_height - 1) * low_width
                + clamp((int)rint(low_x), 0, low_width - 1);
        differ = vload_half(8 * (size_t)nearest + 7, guide) > 0.0f;
    }
    Spot four = spot(low_width, low_height, low_x, low_y);
    Motion motion;
    if (differ)
        motion = along_edges(lines, ends, weight, guide, low_width, low_height, low_x, low_y, nearest,
                             look_of(here, there), look_of(there, here));
    else
        motion = pull_motion(lines, weight, low, four);
    float w = motion.weight;
    float4 line = half_per_low * motion.line;
    float middle = 0.5f * (start + stop), early = w * (1.0f - middle), late = (1.0f - w) * middle;
    if (all(line == 0.0f) && here.w == 1.0f && there.w == 1.0f) { /* most of many pictures: no more than this */
        vstore4(before + share * (here + late / (early + late) * (there - here)), at, result);
        return;
    }
    if (!differ) {
        motion.early = pull_ends(ends, four);
        motion.late = pull_ends(ends + 4 * (size_t)low, four);
    }
    float4 base = light_of(here, there);
    float2 p = (float2)(x, y);
    float4 sum = any(line.lo != 0.0f)
        ? pass(first, width, height, p, line.lo, half_per_low * motion.early, base, start, stop, w, spacing, most)
        : early * (here - here.w * base);
    sum += any(line.hi != 0.0f)
        ? pass(second, width, height, p, line.hi, half_per_low * motion.late, base,
               1.0f - stop, 1.0f - start, 1.0f - w, spacing, most)
        : late * (there - there.w * base);
    float4 change = sum / sum.w, mean = base + (fabs(change) > SAMPLE_ROUNDING * fabs(base) ? change : 0.0f);
    mean.w = 1.0f;
    float trust = (early * here.w + late * there.w) / (early + late);
    trust = trust > WHOLLY_KNOWN ? 1.0f : trust;
    vstore4(sum.w > LEAST_KNOWN ? before + share * trust * mean : before, at, result);
}
