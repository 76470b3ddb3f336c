/* For every low pixel: how much of the sharp exposure's detail the blur contains.

     slope = clamp(cov / (var S + min_variance), 0, 1) * clamp((r^2 - 0.6) / 0.35, 0, 1),
     r^2 = cov^2 / (var B var S)

   B is the blur, S the guide squared; covariance and variances are over the low pixel's cell x cell half pixels
   and 2 more on every side, edges clamped, where the blur has coverage, summed over the colours; 3 min_variance
   is added to the variances. This is the slope of a guided filter (He and Sun 2015, arXiv 1505.00996), clamped to
   0..1: an object that is static for a part of the time keeps that part of its detail in the blur. Where the blur
   contains other detail, r^2 is low and the slope 0. Static -> 1, fully smeared or flat -> 0. */
#define MARGIN 2

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
    float4 sum_b = 0.0f, sum_s = 0.0f, sum_bs = 0.0f, sum_ss = 0.0f, sum_bb = 0.0f;
    float count = 0.0f;
    for (int j = top - MARGIN; j < top + cell + MARGIN; j++)
        for (int i = left - MARGIN; i < left + cell + MARGIN; i++) {
            size_t here = (size_t)clamp(j, 0, height - 1) * width + clamp(i, 0, width - 1);
            float4 b = vload4(here, blur), g = vload_half4(here, guide);
            float covered = b.w > 0.0f ? 1.0f : 0.0f;
            float4 db = covered * (b - b0), ds = covered * (g * g - s0);
            sum_b += db;
            sum_s += ds;
            sum_bs += db * ds;
            sum_ss += ds * ds;
            sum_bb += db * db;
            count += covered;
        }
    float4 covariances = sum_bs - sum_b * sum_s / count;
    float4 variances_b = sum_bb - sum_b * sum_b / count, variances_s = sum_ss - sum_s * sum_s / count;
    float covariance = fmax(covariances.x + covariances.y + covariances.z, 0.0f);
    float min_sum = 3.0f * count * min_variance;
    float variance_b = variances_b.x + variances_b.y + variances_b.z + min_sum;
    float variance_s = variances_s.x + variances_s.y + variances_s.z + min_sum;
    float r_squared = covariance * covariance / (variance_b * variance_s);
    float confidence = clamp((r_squared - 0.6f) / 0.35f, 0.0f, 1.0f);
    slope[at] = count > 0.0f ? clamp(covariance / variance_s, 0.0f, 1.0f) * confidence : 0.0f;
}
