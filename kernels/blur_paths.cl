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
   channel 4 at p: a pair that hardly knows a pixel hardly counts there. */

/* A pair that knows less than this weight (of at most 1/2) of a pixel knows nothing of it. */
#define LEAST_KNOWN 1e-4f
/* From here on only rounding is missing. */
#define WHOLLY_KNOWN 0.9995f

/* Added to speeds, half-resolution pixels: what hardly moves is weighted by time alone. */
#define EVEN 0.1f
/* Part of the spacing by which an arc between two samples may leave its chord. */
#define FLAT 0.0625f
/* A path whose tangents differ from its line by less, half-resolution pixels, is straight: it is then off by
   less than 4/27 of that. */
#define STRAIGHT 0.03f
/* Half the distance of the outer points of Gauss's three from the middle, of the whole. */
#define GAUSS 0.38729833f

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

/* A pixel's two lines, in low pixels; in arrays of low cells the second frame's lie `second` cells after
   the first's. */
inline float4 pull_lines(__global const float *lines, int second, Spot s)
{
    return between(s, (float4)(vload2(s.a, lines), vload2(second + s.a, lines)),
                   (float4)(vload2(s.b, lines), vload2(second + s.b, lines)),
                   (float4)(vload2(s.c, lines), vload2(second + s.c, lines)),
                   (float4)(vload2(s.d, lines), vload2(second + s.d, lines)));
}

inline float pull_weight(__global const float *weight, Spot s)
{
    float top = weight[s.a] + s.u * (weight[s.b] - weight[s.a]);
    float bottom = weight[s.c] + s.u * (weight[s.d] - weight[s.c]);
    return top + s.v * (bottom - top);
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

/* How much of a sample lies inside the picture: it fades to nothing within one pixel beyond the edge. */
inline float inside_share(int width, int height, float2 at)
{
    return clamp(fmin(at.x + 1.0f, width - at.x), 0.0f, 1.0f)
         * clamp(fmin(at.y + 1.0f, height - at.y), 0.0f, 1.0f);
}

/* Both frames' paths, path(s) = s (a + s (b + s c)), and how they are sampled: .lo and .x are the first's, .hi
   and .y the second's. bent and inside are -1 where a path is so. */
typedef struct { float4 a, b, c; float2 from, step, even; int2 count, bent, inside; } Paths;

/* One of them. */
typedef struct { float2 a, b, c; float from, step, even; int count, bent; } Path;

inline float2 place(Path path, float s)
{
    return s * (path.a + s * (path.b + s * path.c));
}

/* The weight of the sample at s. */
inline float weight_at(Path path, float s)
{
    float2 slope = path.a + s * (2.0f * path.b + 3.0f * s * path.c);
    return (1.0f - s) * (sqrt(slope.x * slope.x + slope.y * slope.y) + EVEN) * path.even;
}

/* Squared lengths of two vectors. Nothing here is near overflow, which length() guards against at a cost. */
inline float2 squares(float4 v)
{
    float4 q = v * v;
    return q.even + q.odd;
}

inline float2 speeds(Paths both, float2 s)
{
    return sqrt(squares(both.a + s.xxyy * (2.0f * both.b + 3.0f * s.xxyy * both.c)));
}

/* Both paths along line, whose tangents are early's and late's, over the part start..stop of the interval. */
inline Paths paths_of(float4 line, float4 early, float4 late, float2 p, float2 last, float start, float stop,
                      float spacing, int most)
{
    float4 d0 = (float4)(early.lo, late.lo) - line, d1 = (float4)(early.hi, late.hi) - line;
    Paths both;
    both.bent = sqrt(squares(d0)) + sqrt(squares(d1)) >= STRAIGHT;
    d0 = both.bent.xxyy ? d0 : 0.0f;
    d1 = both.bent.xxyy ? d1 : 0.0f;
    float4 m = line - d0 - d1, one = (1.0f / 3.0f) * (line + d0), two = line - (1.0f / 3.0f) * (line + d1);
    both.a = line + d0;
    both.b = -2.0f * d0 - d1;
    both.c = d0 + d1;
    float part = stop - start;
    float2 fastest = sqrt(fmax(fmax(squares(both.a), squares(line + d1)), squares(m)));
    float2 bend = 2.0f * sqrt(fmax(squares(m - both.a), squares(line + d1 - m)));
    float dense = 1.0f / spacing;
    float2 steps = part * fmax(dense * fastest, sqrt(dense / (8.0f * FLAT) * bend));
    both.count = clamp(convert_int2(ceil(steps)), 1, most);
    both.from = (float2)(start, 1.0f - stop);
    both.step = part / convert_float2(both.count);
    /* Mean speeds by Gauss's rule: the same for a path run backwards. */
    float2 middle = both.from + 0.5f * part, apart = GAUSS * part;
    float2 outer = speeds(both, middle - apart) + speeds(both, middle + apart);
    both.even = 1.0f / (5.0f / 18.0f * outer + 8.0f / 18.0f * speeds(both, middle) + EVEN);
    int4 within = p.xyxy + fmin(fmin(one, two), fmin(line, 0.0f)) >= 0.0f
               && p.xyxy + fmax(fmax(one, two), fmax(line, 0.0f)) < last.xyxy;
    both.inside = within.even & within.odd;
    return both;
}

/* Sum of weighted differences to base over a path that stays inside the picture: nearly all the time is
   spent here. */
#ifdef LONGEXPO_IMAGES
inline float4 along(FRAME frame, int width, float2 p, Path path, float4 base)
{
    float4 sum = 0.0f;
    for (float n = 0.5f; n < path.count; n += 1.0f) {
        float s = path.from + n * path.step;
        float4 light = sample_inside(frame, width, p + place(path, s));
        sum += weight_at(path, s) * (light - light.w * base);
    }
    return sum;
}
#else
/* Eight places at a time: a processor's vectors then hold one coordinate of all. */
inline float4 along(FRAME frame, int width, float2 p, Path path, float4 base)
{
    const float8 order = (float8)(0.5f, 1.5f, 2.5f, 3.5f, 4.5f, 5.5f, 6.5f, 7.5f);
    int cell[8];
    float u[8], v[8], weight[8];
    float4 sum = 0.0f;
    for (int n = 0; n < path.count; n += 8) {
        float8 s = path.from + (n + order) * path.step, w = 1.0f - s;
        float8 x = p.x + s * path.a.x, y = p.y + s * path.a.y;
        if (path.bent) {
            float8 t = s * s, dx = path.a.x + s * (2.0f * path.b.x + 3.0f * s * path.c.x);
            float8 dy = path.a.y + s * (2.0f * path.b.y + 3.0f * s * path.c.y);
            x += t * (path.b.x + s * path.c.x);
            y += t * (path.b.y + s * path.c.y);
            w *= (sqrt(dx * dx + dy * dy) + EVEN) * path.even;
        }
        int8 column = convert_int8(x), row = convert_int8(y);
        vstore8(row * width + column, 0, cell);
        vstore8(x - convert_float8(column), 0, u);
        vstore8(y - convert_float8(row), 0, v);
        vstore8(w, 0, weight);
        int left = min(8, path.count - n);
        for (int k = 0; k < left; k++) {
            FRAME four = frame + 4 * (size_t)cell[k];
            float8 above = vload_half8(0, four), below = vload_half8(0, four + 4 * (size_t)width);
            float8 between = above + v[k] * (below - above);
            float4 light = between.lo + u[k] * (between.hi - between.lo);
            sum += weight[k] * (light - light.w * base);
        }
    }
    return sum;
}
#endif

/* The same over any path: what lies beyond the picture counts nothing. */
inline float4 along_the_edge(FRAME frame, int width, int height, float2 p, Path path, float4 base)
{
    float4 sum = 0.0f;
    for (float n = 0.5f; n < path.count; n += 1.0f) {
        float s = path.from + n * path.step;
        float2 at = p + place(path, s);
        float w = weight_at(path, s) * inside_share(width, height, at);
        at = clamp(at, (float2)(0.0f, 0.0f), (float2)(width - 1.0f, height - 1.0f));
        float4 light = sample4(frame, width, height, at.x, at.y);
        sum += w * (light - light.w * base);
    }
    return sum;
}

/* One frame's share of the sums: xyz the weighted difference to base, w the weight. */
inline float4 gathered(FRAME frame, int width, int height, float2 p, Path path, bool inside, float4 base,
                       float weight)
{
    float4 sum = inside ? along(frame, width, p, path, base)
                        : along_the_edge(frame, width, height, p, path, base);
    return weight / path.count * sum;
}

__kernel void blur_paths(__global const float *total, FRAME first, FRAME second, __global const float *lines,
                         __global const float *ends, __global const float *weight, __global float *result,
                         int width, int height, int low_width, int low_height, float half_per_low, float start,
                         float stop, float share, float spacing, int most)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    size_t at = (size_t)y * width + x;
    int low = low_width * low_height;
    float low_per_half = 1.0f / half_per_low;
    float low_x = (x + 0.5f) * low_per_half - 0.5f, low_y = (y + 0.5f) * low_per_half - 0.5f;
    float4 here = pixel4(first, width, x, y), there = pixel4(second, width, x, y), before = vload4(at, total);
    Spot four = spot(low_width, low_height, low_x, low_y);
    float w = pull_weight(weight, four);
    float4 line = half_per_low * pull_lines(lines, low, four);
    float middle = 0.5f * (start + stop), early = w * (1.0f - middle), late = (1.0f - w) * middle;
    if (all(line == 0.0f) && here.w == 1.0f && there.w == 1.0f) { /* most of many pictures: no more than this */
        vstore4(before + share * (here + late / (early + late) * (there - here)), at, result);
        return;
    }
    float4 base = light_of(here, there);
    float2 p = (float2)(x, y);
    Paths both = paths_of(line, half_per_low * pull_ends(ends, four),
                          half_per_low * pull_ends(ends + 4 * (size_t)low, four), p,
                          (float2)(width - 1, height - 1), start, stop, spacing, most);
    Path one = { both.a.lo, both.b.lo, both.c.lo, both.from.x, both.step.x, both.even.x, both.count.x, both.bent.x };
    Path two = { both.a.hi, both.b.hi, both.c.hi, both.from.y, both.step.y, both.even.y, both.count.y, both.bent.y };
    float4 sum = any(line.lo != 0.0f) ? gathered(first, width, height, p, one, both.inside.x, base, w)
                                      : early * (here - here.w * base);
    sum += any(line.hi != 0.0f) ? gathered(second, width, height, p, two, both.inside.y, base, 1.0f - w)
                                : late * (there - there.w * base);
    float4 change = sum / sum.w, mean = base + (fabs(change) > SAMPLE_ROUNDING * fabs(base) ? change : 0.0f);
    mean.w = 1.0f;
    float trust = (early * here.w + late * there.w) / (early + late);
    trust = trust > WHOLLY_KNOWN ? 1.0f : trust;
    vstore4(sum.w > LEAST_KNOWN ? before + share * trust * mean : before, at, result);
}
