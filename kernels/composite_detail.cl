/* For every low pixel: how much of the sharp exposure's detail the blur contains.

     slope = clamp(cov / (var S + min_variance), 0, 1) * clamp((r^2 - 0.5) / 0.35, 0, 1) * min(2 covered, 1),
     r^2 = cov^2 / (var B var S)

   B is the blur, S the guide squared, both less the plane that fits them best: a smooth slope that both have, such
   as the edge of a large bright thing, is no detail, and would bring the fine texture on it into the streaks.
   Covariance and variances are over the low pixel's cell x cell half pixels and 3 more on every side, edges
   clamped, where the blur has coverage, summed over the colours; 3 min_variance is added to the variances. This is
   the slope of a guided filter (He and Sun 2015, arXiv 1505.00996), clamped to 0..1: an object that is static for a
   part of the time keeps that part of its detail in the blur. Where the blur contains other detail, r^2 is low and
   the slope 0. covered is the mean of channel 4: next to the border few frames cover the picture, and what
   they show has had no time to move. Static -> 1, fully smeared, even or a plane -> 0. */
#define MARGIN 3
/* Added to the variances of the coordinates: windows of one row or column have a plane, too. */
#define RIDGE 1e-3f

/* The covariance that is left without the plane: a and b are those with x and with y, c those of x, y. */
inline float4 without_plane(float4 covariance, float4 ax, float4 ay, float4 bx, float4 by, float3 c)
{
    return covariance - (c.y * ax * bx - c.z * (ax * by + ay * bx) + c.x * ay * by) / (c.x * c.y - c.z * c.z);
}

inline float over_colours(float4 sums)
{
    return fmax(sums.x + sums.y + sums.z, 0.0f);
}

__kernel void composite_detail(__global const float *blur, __global const half *guide,
                               __global float *slope, int width, int height, int low_width, int low_height,
                               int cell, float min_variance)
{
    int low_x = get_global_id(0), low_y = get_global_id(1);
    if (low_x >= low_width || low_y >= low_height)
        return;
    size_t at = (size_t)low_y * low_width + low_x;
    int left = low_x * cell, top = low_y * cell;

    /* Sums of differences to one pixel: the variance of nearly equal light would be lost in rounding. */
    size_t first = (size_t)min(top, height - 1) * width + min(left, width - 1);
    float4 b0 = vload4(first, blur), g0 = vload_half4(first, guide), s0 = g0 * g0;
    float4 sum_b = 0.0f, sum_s = 0.0f, bs = 0.0f, ss = 0.0f, bb = 0.0f;
    float4 bx = 0.0f, by = 0.0f, sx = 0.0f, sy = 0.0f;
    float3 squares = 0.0f; /* of x, of y, and their product */
    float2 sum_at = 0.0f;
    float count = 0.0f, time = 0.0f;
    for (int j = top - MARGIN; j < top + cell + MARGIN; j++)
        for (int i = left - MARGIN; i < left + cell + MARGIN; i++) {
            int column = clamp(i, 0, width - 1), row = clamp(j, 0, height - 1);
            size_t here = (size_t)row * width + column;
            float4 b = vload4(here, blur), g = vload_half4(here, guide);
            float covered = b.w > 0.0f ? 1.0f : 0.0f;
            float x = covered * (column - left), y = covered * (row - top);
            float4 db = covered * (b - b0), ds = covered * (g * g - s0);
            sum_b += db;
            sum_s += ds;
            bs += db * ds;
            ss += ds * ds;
            bb += db * db;
            bx += x * db;
            by += y * db;
            sx += x * ds;
            sy += y * ds;
            squares += (float3)(x * x, y * y, x * y);
            sum_at += (float2)(x, y);
            count += covered;
            time += b.w;
        }
    if (count == 0.0f) {
        slope[at] = 0.0f;
        return;
    }
    float2 mean_at = sum_at / count;
    float3 c = squares - (float3)(sum_at.x * mean_at.x - RIDGE, sum_at.y * mean_at.y - RIDGE, sum_at.x * mean_at.y);
    bx -= mean_at.x * sum_b;
    by -= mean_at.y * sum_b;
    sx -= mean_at.x * sum_s;
    sy -= mean_at.y * sum_s;
    float min_sum = 3.0f * count * min_variance;
    float covariance = over_colours(without_plane(bs - sum_b * sum_s / count, bx, by, sx, sy, c));
    float variance_b = over_colours(without_plane(bb - sum_b * sum_b / count, bx, by, bx, by, c)) + min_sum;
    float variance_s = over_colours(without_plane(ss - sum_s * sum_s / count, sx, sy, sx, sy, c)) + min_sum;
    float r_squared = covariance * covariance / (variance_b * variance_s);
    float confidence = clamp((r_squared - 0.5f) / 0.35f, 0.0f, 1.0f);
    slope[at] = clamp(covariance / variance_s, 0.0f, 1.0f) * confidence * fmin(2.0f * time / count, 1.0f);
}
