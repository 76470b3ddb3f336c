/* Gather one pair's light along its lines (Tabellion 2023, equations 6 and 8, with constant speed).

   Frame i's light at s in 0..1 is sampled at p + path(s); s is the time for the first frame and 1 - time
   for the second. Over the part start..stop of the interval, at midpoints

     s_n = from + (n + 1/2) / N (to - from),   w_n = 1 - s_n,   N = clamp(ceil(length / spacing), 1, most)
     mean = sum_i W_i / N_i sum_n w_n I_i(p + path(s_n)) / sum_i W_i / N_i sum_n w_n known_i(p + path(s_n))

   both passes in one numerator and one weight. Where W = 1/2 the two ramps add to the same weight at every
   instant. The sum is taken of differences to the light at p, so equal samples return that light exactly:
   a zero line reads its frame alone, once. What lies beyond the picture or is unknown (channel 4 = 0)
   counts nothing. total.xyz += share * trust * mean and total.w += share * trust, where trust is the mean of both
   frames' channel 4 at p: a pair that hardly knows a pixel hardly counts there. */

/* A pair that knows less than this weight (of at most 1/2) of a pixel knows nothing of it. */
#define LEAST_KNOWN 1e-4f
/* From here on only rounding is missing. */
#define WHOLLY_KNOWN 0.9995f

/* Where the light of parameter s is read, relative to its pixel: a straight line for now. */
inline float2 path(float2 line, float s)
{
    return s * line;
}

/* Bilinear sample whose four pixels all exist: 0 <= at < size - 1. */
inline float4 sample_inside(__global const half *frame, int width, float2 at)
{
    int ix = (int)at.x, iy = (int)at.y;
    float u = at.x - ix, v = at.y - iy;
    __global const half *corner = frame + 4 * ((size_t)iy * width + ix);
    float8 above = vload_half8(0, corner);
    float8 below = vload_half8(0, corner + 4 * (size_t)width);
    float8 row = above + v * (below - above);
    return row.lo + u * (row.hi - row.lo);
}

/* How much of a sample lies inside the picture: it fades to nothing within one pixel beyond the edge. */
inline float inside_share(int width, int height, float2 at)
{
    return clamp(fmin(at.x + 1.0f, width - at.x), 0.0f, 1.0f)
         * clamp(fmin(at.y + 1.0f, height - at.y), 0.0f, 1.0f);
}

/* One frame's share of the sums: xyz the weighted difference to base, w the weight. */
inline float4 pass(__global const half *frame, int width, int height, float2 p, float2 line, float4 base,
                   float from, float to, float weight, float spacing, int most)
{
    float length_px = (to - from) * sqrt(line.x * line.x + line.y * line.y);
    int count = clamp((int)ceil(length_px / spacing), 1, most);
    float step = (to - from) / count;
    float2 a = p + path(line, from), b = p + path(line, to);
    float2 least = fmin(a, b), largest = fmax(a, b);
    bool inside = least.x >= 0.0f && least.y >= 0.0f && largest.x < width - 1 && largest.y < height - 1;
    float4 sum = 0.0f;
    for (int n = 0; n < count; n++) {
        float s = from + (n + 0.5f) * step;
        float2 at = p + path(line, s);
        float w = 1.0f - s;
        float4 light;
        if (inside) {
            light = sample_inside(frame, width, at);
        } else {
            w *= inside_share(width, height, at);
            at = clamp(at, (float2)(0.0f, 0.0f), (float2)(width - 1.0f, height - 1.0f));
            light = sample4(frame, width, height, at.x, at.y);
        }
        sum += w * (light - light.w * base);
    }
    return weight / count * sum;
}

/* Bilinear pull from the low grid, edges clamped: lines in low pixels, then the first frame's weight. */
inline float4 pull_lines(__global const float *lines, __global const float *weight, int width, int height,
                         float x, float y, float *first_weight)
{
    x = clamp(x, 0.0f, width - 1.0f);
    y = clamp(y, 0.0f, height - 1.0f);
    int x0 = (int)x, y0 = (int)y, x1 = min(x0 + 1, width - 1), y1 = min(y0 + 1, height - 1);
    float u = x - x0, v = y - y0;
    int a = y0 * width + x0, b = y0 * width + x1, c = y1 * width + x0, d = y1 * width + x1;
    int second = width * height;
    float4 la = (float4)(vload2(a, lines), vload2(second + a, lines));
    float4 lb = (float4)(vload2(b, lines), vload2(second + b, lines));
    float4 lc = (float4)(vload2(c, lines), vload2(second + c, lines));
    float4 ld = (float4)(vload2(d, lines), vload2(second + d, lines));
    float4 top = la + u * (lb - la), bottom = lc + u * (ld - lc);
    float w_top = weight[a] + u * (weight[b] - weight[a]);
    float w_bottom = weight[c] + u * (weight[d] - weight[c]);
    *first_weight = w_top + v * (w_bottom - w_top);
    return top + v * (bottom - top);
}

__kernel void blur_paths(__global const float *total, __global const half *first, __global const half *second,
                         __global const float *lines, __global const float *weight, __global float *result,
                         int width, int height, int low_width, int low_height,
                         float half_per_low, float start, float stop, float share, float spacing, int most)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    size_t at = (size_t)y * width + x;
    float w;
    float4 line = half_per_low * pull_lines(lines, weight, low_width, low_height,
                                            (x + 0.5f) / half_per_low - 0.5f,
                                            (y + 0.5f) / half_per_low - 0.5f, &w);
    float4 here = vload_half4(at, first), there = vload_half4(at, second);
    float4 base = here.w > 0.0f ? here / here.w : there.w > 0.0f ? there / there.w : (float4)(0.0f);
    base.w = 0.0f;
    float2 p = (float2)(x, y);
    float middle = 0.5f * (start + stop);
    float4 sum = any(line.lo != 0.0f)
        ? pass(first, width, height, p, line.lo, base, start, stop, w, spacing, most)
        : w * (1.0f - middle) * (here - here.w * base);
    sum += any(line.hi != 0.0f)
        ? pass(second, width, height, p, line.hi, base, 1.0f - stop, 1.0f - start, 1.0f - w, spacing, most)
        : (1.0f - w) * middle * (there - there.w * base);
    float4 before = vload4(at, total);
    float4 mean = base + sum / sum.w;
    mean.w = 1.0f;
    float trust = (w * (1.0f - middle) * here.w + (1.0f - w) * middle * there.w)
                / (w * (1.0f - middle) + (1.0f - w) * middle);
    trust = trust > WHOLLY_KNOWN ? 1.0f : trust;
    vstore4(sum.w > LEAST_KNOWN ? before + share * trust * mean : before, at, result);
}
